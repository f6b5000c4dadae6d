/**
 * Parses the heads of responses (RFC 9112 §4, §6). It is as strict as for requests where framing is concerned: a bare
 * LF, a folded line, white space before a colon and contradictory lengths are refused (502). It is more tolerant where
 * that is safe: the reason phrase may be missing, and the same Content-Length may be repeated. An interim response
 * (1xx) is a head like any other, and the next push reads the one that follows.
 */
import { internedLatin1, showText } from "../../base/mod.ts";
import type { Fields } from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { HttpParseError } from "./errors.ts";
import { chunkedBody, closeDelimitedBody, type Framing, isBodyless, noBody } from "./framing.ts";
import { gatherFacts, type HeadFacts, isChunked, upgradeToken } from "./head_facts.ts";
import { bytesAfter, HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";

export interface ParsedResponse {
  /** 100 to 999. */
  readonly status: number;
  readonly version: "1.0" | "1.1";
  /** The fields for the next hop: without the hop-by-hop fields and those that Connection nominates. */
  readonly fields: Fields;
  /** `none` for a response to HEAD, for 1xx, 204 and 304, whatever the fields say. */
  readonly framing: Framing;
  /** True where the connection may carry another exchange after this one. */
  readonly keepAlive: boolean;
  /** For how many seconds it says that it keeps an idle connection (RFC 2068 §19.7.1.1); -1 where it says nothing. */
  readonly keepAliveSeconds: number;
  /** With status 101: the one token that was agreed; undefined where there is not exactly one, and for `h2c`. */
  readonly upgrade: string | undefined;
  /**
   * True where the fields show that the upstream authenticates the connection: WWW-Authenticate or Proxy-Authenticate
   * with NTLM or Negotiate, Persistent-Auth.
   */
  readonly isConnectionAuth: boolean;
}

/** An incremental parser: bytes in, heads out. */
export class ResponseParser {
  readonly #scanner: HeadScanner;
  #status = 0;
  #version: "1.0" | "1.1" = "1.1";
  #rest: Uint8Array = emptyBytes;
  /** The last push has scanned a head to its end. */
  #isScanned = false;

  constructor(limits: HttpLimits = defaultLimits) {
    this.#scanner = new HeadScanner({
      side: "response",
      onStartLine: (bytes, end) => this.#readStatusLine(internedLatin1(bytes, 0, end)),
      startLineBytes: limits.requestLineBytes,
      totalBytes: limits.headBytes,
      fieldCount: limits.fieldCount,
    });
  }

  /** True while a head is incomplete. */
  get hasStarted(): boolean {
    return this.#scanner.hasStarted;
  }

  /** After a head: the bytes behind it, a part of the last chunk; after a 101 the first ones of the new protocol. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /**
   * Takes the next bytes and returns the head that they complete; `null` where they complete none. After a head `rest`
   * has the bytes that were not used, and the next push begins another head.
   *
   * @param requestMethod that of the request: a response to HEAD has no body
   * @throws {HttpParseError} 502 `upstream_invalid` as soon as the bytes cannot become a response. The parser must not
   *   be used after it.
   */
  push(chunk: Uint8Array, requestMethod: string): ParsedResponse | null {
    this.#rest = emptyBytes;
    this.#isScanned = false;
    const end = this.#scanner.push(chunk);
    if (end === -1) return null;
    this.#isScanned = true;
    this.#rest = bytesAfter(chunk, end);
    return this.#finish(gatherFacts(this.#scanner.takeFields(), "response"), requestMethod);
  }

  /**
   * After `push(chunk)` has thrown: the line with the fault, as far as it arrived, without its end; null where each line
   * by itself was in order.
   */
  faultyLine(chunk: Uint8Array): Uint8Array | null {
    return this.#isScanned ? null : this.#scanner.faultyLine(chunk);
  }

  /** `HTTP-version SP status-code [SP reason-phrase]`. */
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
    const framing = responseFraming(facts, this.#version, this.#status, requestMethod);
    const isPersistent = !facts.close && (this.#version === "1.1" || facts.keepAlive);
    return {
      status: this.#status,
      version: this.#version,
      fields: facts.fields,
      framing,
      keepAlive: isPersistent && framing.kind !== "close" && this.#status !== 101,
      keepAliveSeconds: facts.keepAliveSeconds,
      upgrade: this.#status === 101 ? upgradeToken(facts) : undefined,
      isConnectionAuth: facts.isConnectionAuth,
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
function responseFraming(facts: HeadFacts, version: "1.0" | "1.1", status: number, requestMethod: string): Framing {
  const hasChunks = isChunked(facts, version, "response");
  if (requestMethod === "HEAD" || isBodyless(status)) return noBody;
  if (hasChunks) return chunkedBody;
  return facts.contentLength === -1 ? closeDelimitedBody : { kind: "length", length: facts.contentLength };
}
