/**
 * Answers as an agent reads them from its upstream (RFC 9112 §4, §6). As strict as requests where framing is at stake:
 * a bare LF, a folded line, white space before a colon or two ways to tell the length make the answer unusable (502).
 * More tolerant where nothing can go wrong: the reason phrase may be missing, and the same Content-Length may be said
 * twice. An interim answer (1xx) is a head like any other; the next push reads the one that follows.
 */
import type { Fields } from "../../http/mod.ts";
import { internedLatin1, showText } from "../../base/mod.ts";
import { HttpParseError } from "./errors.ts";
import { chunkedBody, closeDelimitedBody, type Framing, noBody } from "./framing.ts";
import { gatherFacts, type HeadFacts, upgradeToken } from "./head_facts.ts";
import { HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";
import { emptyBytes } from "../../memory/mod.ts";

export interface ParsedResponse {
  /** 100 to 999. */
  readonly status: number;
  readonly version: "1.0" | "1.1";
  /** What goes on to the next hop: not the hop-by-hop fields, not what Connection nominated. Content-Length once. */
  readonly fields: Fields;
  /** `none` for an answer to HEAD, for 1xx, 204 and 304, whatever the fields say. */
  readonly framing: Framing;
  /** The connection may carry another exchange after this answer. False where the body ends with the connection. */
  readonly keepAlive: boolean;
  /** For a status 101: the one token that was agreed; undefined where there is not exactly one, or `h2c`. */
  readonly upgrade: string | undefined;
}

/** An incremental machine: bytes in, heads out. */
export class ResponseParser {
  readonly #scanner: HeadScanner;
  #status = 0;
  #version: "1.0" | "1.1" = "1.1";
  #rest: Uint8Array = emptyBytes;

  constructor(limits: HttpLimits = defaultLimits) {
    this.#scanner = new HeadScanner({
      side: "answer",
      onStartLine: (bytes, end) => this.#readStatusLine(internedLatin1(bytes, 0, end)),
      startLineBytes: limits.requestLineBytes,
      totalBytes: limits.headBytes,
      fieldCount: limits.fieldCount,
    });
  }

  /** True while a head has begun and not ended. */
  get started(): boolean {
    return this.#scanner.started;
  }

  /** After a head: the bytes behind it, a part of the last chunk; of a 101 the new protocol's first bytes. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Takes the next bytes and returns the head that they complete, or `null` if they complete none. Behind a head
   * `rest` holds what was not used; the next push begins a new head.
   *
   * @param requestMethod the method that is being answered: an answer to HEAD has no body.
   * @throws {HttpParseError} 502 `upstream_invalid` as soon as the bytes cannot become an answer. The parser is then
   *   spent.
   */
  push(chunk: Uint8Array, requestMethod: string): ParsedResponse | null {
    this.#rest = emptyBytes;
    const end = this.#scanner.push(chunk);
    if (end === -1) return null;
    this.#rest = end === chunk.length ? emptyBytes : chunk.subarray(end);
    return this.#finish(gatherFacts(this.#scanner.takeFields(), "answer"), requestMethod);
  }

  /** `HTTP-version SP status-code [SP reason-phrase]`: the second SP may be missing with the phrase. */
  #readStatusLine(line: string): void {
    const isCurrent = line.startsWith("HTTP/1.1 ");
    const status = line.length === 12 || line[12] === " " ? statusCode(line) : -1;
    if ((!isCurrent && !line.startsWith("HTTP/1.0 ")) || status === -1) {
      throw new HttpParseError(502, `The status line ${showText(line)} is not "HTTP/1.1 STATUS"`);
    }
    this.#status = status;
    this.#version = isCurrent ? "1.1" : "1.0";
  }

  #finish(facts: HeadFacts, requestMethod: string): ParsedResponse {
    const framing = answerFraming(facts, this.#version, this.#status, requestMethod);
    const mayLast = !facts.close && (this.#version === "1.1" || facts.keepAlive);
    return {
      status: this.#status,
      version: this.#version,
      fields: facts.fields,
      framing,
      keepAlive: mayLast && framing.kind !== "close" && this.#status !== 101,
      upgrade: this.#status === 101 ? upgradeToken(facts) : undefined,
    };
  }
}

/** The three digits from offset 9, 100 to 999; -1 where there are none. */
function statusCode(line: string): number {
  const hundreds = line.charCodeAt(9) - 0x30;
  const tens = line.charCodeAt(10) - 0x30;
  const ones = line.charCodeAt(11) - 0x30;
  const areDigits = hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
  return areDigits ? 100 * hundreds + 10 * tens + ones : -1;
}

/** RFC 9112 §6.3. */
function answerFraming(facts: HeadFacts, version: "1.0" | "1.1", status: number, requestMethod: string): Framing {
  const { transferEncoding, contentLength } = facts;
  if (transferEncoding !== undefined) {
    if (contentLength !== -1) throw new HttpParseError(502, "Both Transfer-Encoding and Content-Length are there");
    if (version === "1.0") throw new HttpParseError(502, "Transfer-Encoding stands in an HTTP/1.0 answer");
    if (transferEncoding.toLowerCase() !== "chunked") {
      throw new HttpParseError(502, `The Transfer-Encoding is ${showText(transferEncoding)}, not "chunked"`);
    }
  }
  if (requestMethod === "HEAD" || status < 200 || status === 204 || status === 304) return noBody;
  if (transferEncoding !== undefined) return chunkedBody;
  return contentLength === -1 ? closeDelimitedBody : { kind: "length", length: contentLength };
}
