/**
 * Parses the heads of requests (RFC 9112 §3, §5, §6). It is strict, because clients are not trusted: no other parser
 * must be able to read another request from the same bytes. `RequestParser.push` says what is refused, with which
 * status.
 */
import { internedLatin1, latin1, showText } from "../../base/mod.ts";
import { CR, type Fields, isToken, LF, SP } from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { HttpParseError } from "./errors.ts";
import { chunkedFraming, type Framing, noBody } from "./framing.ts";
import { askedUpgrade, gatherFacts, type HeadFacts, isChunkedRequest } from "./head_facts.ts";
import { bytesAfter, HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";
import { resolveTarget } from "./request_target.ts";

export interface ParsedRequest {
  readonly method: string;
  /**
   * Origin-form as received, or `*`. Of an absolute-form target the path and query as received, with `/` where there is
   * no path (RFC 9112 §3.2.1, §3.2.4).
   */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** The Host field's value as received. Without one (HTTP/1.0): the authority of an absolute-form target, or `""`. */
  readonly authority: string;
  /**
   * The fields for the next hop: without Host, the hop-by-hop fields and those that Connection nominates. Expect is
   * among them, because the upstream has to meet the expectation (RFC 9110 §10.1.1).
   */
  readonly fields: Fields;
  readonly framing: Framing;
  /** True where the client may send another request on this connection (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /**
   * The protocols of Upgrade, as in `RequestHead.upgrade`, where Connection lists `upgrade`. Undefined in HTTP/1.0, and
   * with a body in chunks, whose end is nowhere said before it comes: such an Upgrade is ignored, as RFC 9110 §7.8
   * allows.
   */
  readonly upgrade: string | undefined;
  /** True where TE lists `trailers`. */
  readonly acceptsTrailers: boolean;
}

/** An incremental parser: bytes in, heads out. */
export class RequestParser {
  readonly #scanner: HeadScanner;
  #method = "";
  #target = "";
  #version: "1.0" | "1.1" = "1.1";
  #rest: Uint8Array = emptyBytes;
  /** How much was read of the one empty line that may precede a request (RFC 9112 §2.2). */
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

  /** True while a head is incomplete. The empty line before a request is no part of it. */
  get hasStarted(): boolean {
    return this.#scanner.hasStarted;
  }

  /** What an incomplete head takes in memory. */
  get heldBytes(): number {
    return this.#scanner.heldBytes;
  }

  /**
   * After a head: the bytes behind it, a part of the last chunk. They belong to the body or to the next head. They are
   * given once, so that a connection that serves its request for long does not keep the read.
   */
  takeRest(): Uint8Array {
    const rest = this.#rest;
    this.#rest = emptyBytes;
    return rest;
  }

  /** Forgets an incomplete head: nothing of the connection is parsed any more. */
  drop(): void {
    this.#scanner.takeFields();
  }

  /**
   * Takes the next bytes and returns the head that they complete; `null` where they complete none. After a head
   * `takeRest()` has the bytes that were not used, and the next push begins another head.
   *
   * @throws {HttpParseError} as soon as the bytes cannot become a request: 400 for malformed syntax (bare CR or LF, a
   *   folded line, CTL, white space before a colon, a name that is no token), for a missing, repeated or invalid Host,
   *   a target in no known form or that disagrees with Host, a Content-Length that is not digits, is above 2^53 - 1 or
   *   stands twice, a Transfer-Encoding that is not `chunked`, stands beside a Content-Length or in HTTP/1.0; 405 for
   *   CONNECT; 414 and 431 over the limits; 501 for TRACE; 505 for a version that is neither 1.0 nor 1.1. The parser
   *   must not be used after it.
   */
  push(chunk: Uint8Array): ParsedRequest | null {
    this.#rest = emptyBytes;
    if (!this.#scanner.hasStarted) {
      if (chunk.length === 0) return null;
      if (this.#emptyLine === "cr" || (this.#emptyLine === "none" && chunk[0] === CR)) {
        chunk = this.#skipEmptyLine(chunk);
        if (chunk.length === 0) return null;
      }
    }
    const end = this.#scanner.push(chunk);
    if (end === -1) return null;
    this.#rest = bytesAfter(chunk, end);
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
    // In any case of letters: an upstream may take `trace` for TRACE.
    if (method.length === 7 && method.toUpperCase() === "CONNECT") {
      throw new HttpParseError(405, `The method ${method} is not served`);
    }
    if (method.length === 5 && method.toUpperCase() === "TRACE") {
      throw new HttpParseError(501, `The method ${method} is not served`);
    }
    this.#method = method;
    this.#target = target;
    this.#version = isCurrent ? "1.1" : "1.0";
  }

  #finish(facts: HeadFacts): ParsedRequest {
    const method = this.#method;
    const version = this.#version;
    const isCurrent = version === "1.1";
    const framing = requestFraming(facts, version);
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
      upgrade: isCurrent && framing.kind !== "chunked" ? askedUpgrade(facts) : undefined,
      acceptsTrailers: facts.acceptsTrailers && isCurrent,
    };
  }
}

/** The offset of the next space; `end` or more where there is none. */
function spaceFrom(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== SP) at++;
  return at;
}

/** RFC 9112 §6.3, with every doubtful case refused. */
function requestFraming(facts: HeadFacts, version: "1.0" | "1.1"): Framing {
  if (isChunkedRequest(facts, version)) return chunkedFraming(facts.nominated);
  return facts.contentLength === -1 ? noBody : { kind: "length", length: facts.contentLength };
}
