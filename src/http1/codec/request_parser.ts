/**
 * Requests as an edge reads them from anyone on the internet (RFC 9112 §3, §5, §6): strictly, so that no two readers of
 * the same bytes can come to different ends. What is refused, and with what status, is in `RequestParser.push`.
 */
import { CR, type Fields, isToken, LF, SP } from "../../http/mod.ts";
import { internedLatin1, latin1, showText } from "../../base/mod.ts";
import { HttpParseError } from "./errors.ts";
import { chunkedBody, type Framing, noBody } from "./framing.ts";
import { gatherFacts, type HeadFacts, upgradeToken } from "./head_facts.ts";
import { HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";
import { resolveTarget } from "./request_target.ts";
import { emptyBytes } from "../../memory/mod.ts";

export interface ParsedRequest {
  readonly method: string;
  /**
   * Origin-form as received, or `*`. Of an absolute-form target the path and query as received, `/` in front where
   * there is no path (RFC 9112 §3.2.1, §3.2.4).
   */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** The Host field's value as received. Without one (HTTP/1.0): the authority of an absolute-form target, or `""`. */
  readonly authority: string;
  /**
   * What goes on to the next hop: not Host, not the hop-by-hop fields, not what Connection nominated. Expect stays:
   * whether an expectation can be met is the upstream's to say (RFC 9110 §10.1.1).
   */
  readonly fields: Fields;
  readonly framing: Framing;
  /** The client would send another request on this connection (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /**
   * The one token of Upgrade, as received, if Connection lists `upgrade`. Never `h2c`, never one of several, not on
   * HTTP/1.0 and not with a body, whose bytes could not be told from those of the new protocol: such an Upgrade is
   * ignored, as RFC 9110 §7.8 allows.
   */
  readonly upgrade: string | undefined;
  /** The client listed `trailers` in TE. */
  readonly acceptsTrailers: boolean;
}

/** An incremental machine: bytes in, heads out. It knows neither bodies nor sockets nor time. */
export class RequestParser {
  readonly #scanner: HeadScanner;
  #method = "";
  #target = "";
  #version: "1.0" | "1.1" = "1.1";
  #rest: Uint8Array = emptyBytes;
  /** Of the one empty line that may precede a request (RFC 9112 §2.2): none, its CR, or all of it were read. */
  #emptyLine: "none" | "cr" | "read" = "none";

  constructor(limits: HttpLimits = defaultLimits) {
    this.#scanner = new HeadScanner({
      side: "request",
      onStartLine: (bytes, end) => this.#readRequestLine(bytes, end),
      startLineBytes: limits.requestLineBytes,
      totalBytes: limits.headBytes,
      fieldCount: limits.fieldCount,
    });
  }

  /** True while a head has begun and not ended; the empty line before a request begins none. */
  get started(): boolean {
    return this.#scanner.started;
  }

  /**
   * After a head: the bytes behind it, a part of the last chunk. They are the body's, or the next head's. Held until
   * the next push; one of an empty chunk lets go of them.
   */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Takes the next bytes and returns the head that they complete, or `null` if they complete none. Behind a head
   * `rest` holds what was not used; the next push begins a new head, with `rest` where requests are pipelined.
   *
   * @throws {HttpParseError} as soon as the bytes cannot become a request:
   *   400 for broken syntax (bare CR or LF, a folded line, CTL, white space before a colon, a name that is no token),
   *   for a missing, repeated or invalid Host, a target in no known form or that disagrees with Host, a Content-Length
   *   that is not digits, is above 2^53 - 1 or stands twice, a Transfer-Encoding that is not `chunked`, stands beside
   *   a Content-Length or on HTTP/1.0; 405 for CONNECT; 414 and 431 past the limits; 501 for TRACE; 505 for a version
   *   that is neither 1.0 nor 1.1. After an error the parser is spent.
   */
  push(chunk: Uint8Array): ParsedRequest | null {
    this.#rest = emptyBytes;
    if (!this.#scanner.started) {
      if (chunk.length === 0) return null;
      if (this.#emptyLine === "cr" || (this.#emptyLine === "none" && chunk[0] === CR)) {
        chunk = this.#skipEmptyLine(chunk);
        if (chunk.length === 0) return null;
      }
    }
    const end = this.#scanner.push(chunk);
    if (end === -1) return null;
    this.#rest = end === chunk.length ? emptyBytes : chunk.subarray(end);
    this.#emptyLine = "none";
    return this.#finish(gatherFacts(this.#scanner.takeFields(), "request"));
  }

  #skipEmptyLine(chunk: Uint8Array): Uint8Array {
    let i = 0;
    if (this.#emptyLine === "none") {
      this.#emptyLine = "cr";
      if (++i === chunk.length) return emptyBytes;
    }
    if (chunk[i] !== LF) throw new HttpParseError(400, "A bare CR stands before the request line");
    this.#emptyLine = "read";
    return chunk.subarray(i + 1);
  }

  #readRequestLine(bytes: Uint8Array, end: number): void {
    const first = spaceFrom(bytes, 0, end);
    const second = spaceFrom(bytes, first + 1, end);
    const isWhole = second > first + 1 && second < end;
    const method = isWhole ? internedLatin1(bytes, 0, first) : "";
    const version = isWhole ? internedLatin1(bytes, second + 1, end) : "";
    const isCurrent = version === "HTTP/1.1";
    if (!isToken(method) || !(isCurrent || /^HTTP\/\d\.\d$/.test(version))) {
      const line = showText(latin1(bytes, 0, end));
      throw new HttpParseError(400, `The request line ${line} is not "METHOD TARGET HTTP/1.1"`);
    }
    const target = internedLatin1(bytes, first + 1, second);
    if (target.includes("\t")) throw new HttpParseError(400, "A tab stands in the request target");
    if (!isCurrent && version !== "HTTP/1.0") {
      throw new HttpParseError(505, `The request is in ${version}, not HTTP/1.1`);
    }
    if (method === "CONNECT") throw new HttpParseError(405, "The method CONNECT is not served");
    if (method === "TRACE") throw new HttpParseError(501, "The method TRACE is not served");
    this.#method = method;
    this.#target = target;
    this.#version = isCurrent ? "1.1" : "1.0";
  }

  #finish(facts: HeadFacts): ParsedRequest {
    const method = this.#method;
    const version = this.#version;
    const isCurrent = version === "1.1";
    const framing = requestFraming(facts, version);
    const hasBody = framing.kind === "chunked" || (framing.kind === "length" && framing.length > 0);
    const { target, authority } = resolveTarget(method, this.#target, version, facts.host);
    this.#target = "";
    return {
      method,
      target,
      version,
      authority,
      fields: facts.fields,
      framing,
      keepAlive: !facts.close && (isCurrent || facts.keepAlive),
      upgrade: isCurrent && !hasBody ? upgradeToken(facts) : undefined,
      acceptsTrailers: facts.acceptsTrailers && isCurrent,
    };
  }
}

/** Where the next space stands; `end` or behind it if there is none. */
function spaceFrom(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== SP) at++;
  return at;
}

/** RFC 9112 §6.3, with every doubtful case refused. */
function requestFraming(facts: HeadFacts, version: "1.0" | "1.1"): Framing {
  const { transferEncoding, contentLength } = facts;
  if (transferEncoding === undefined) {
    return contentLength === -1 ? noBody : { kind: "length", length: contentLength };
  }
  if (contentLength !== -1) throw new HttpParseError(400, "Both Transfer-Encoding and Content-Length are there");
  if (version === "1.0") throw new HttpParseError(400, "Transfer-Encoding stands in an HTTP/1.0 request");
  if (transferEncoding.toLowerCase() !== "chunked") {
    throw new HttpParseError(400, `The Transfer-Encoding is ${showText(transferEncoding)}, not "chunked"`);
  }
  return chunkedBody;
}
