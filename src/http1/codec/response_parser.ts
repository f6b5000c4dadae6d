/**
 * Parses the heads of responses (RFC 9112 §4, §6). Where clients agree on what a deviation means, it is read as they
 * read it; docs/http.md has the table. After one that concerns the framing, the Content-Length is not passed on and the
 * connection is not used again: whoever reads otherwise gains nothing by it. What clients read in different ways is
 * refused (502): a folded line, a line without a colon, control characters, contradictory lengths, unknown codings.
 *
 * An interim response (1xx) is a head like any other, and the next push reads the one that follows.
 */
import { internedLatin1 } from "../../base/mod.ts";
import { type Fields, listedProtocols, unusualReason, withoutFields } from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { HttpParseError } from "./errors.ts";
import { chunkedFraming, closeDelimitedBody, type Framing, isBodyless, noBody } from "./framing.ts";
import { gatherFacts, type HeadFacts, type ResponseCoding, responseCoding, upgradeToken } from "./head_facts.ts";
import { bytesAfter, HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";

const lengthField: ReadonlySet<string> = new Set(["content-length"]);

export interface ParsedResponse {
  /** 100 to 999. */
  readonly status: number;
  readonly version: "1.0" | "1.1";
  /** The reason phrase as it came; undefined where it is the standard one of the status (`reasonPhrase`). */
  readonly reason: string | undefined;
  /** The fields for the next hop: without the hop-by-hop fields and those that Connection nominates. */
  readonly fields: Fields;
  /** `none` for a response to HEAD, for 1xx, 204 and 304, whatever the fields say. */
  readonly framing: Framing;
  /** True where the connection may carry another exchange after this one. */
  readonly keepAlive: boolean;
  /** For how many seconds it says that it keeps an idle connection (RFC 2068 §19.7.1.1); -1 where it says nothing. */
  readonly keepAliveSeconds: number;
  /**
   * With status 101: the one token that was agreed; undefined where there is not exactly one, and for `h2c`. With 426:
   * what Upgrade lists, without blanks.
   */
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
  /** The last status line, and what it says: most responses on a connection have the same one. */
  #statusLine: string | null = null;
  #status = 0;
  #version: "1.0" | "1.1" = "1.1";
  #reason: string | undefined;
  /** A head deviated, and what follows it on the connection cannot be trusted. */
  #isIrregular = false;
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
    const { hasBareLf } = this.#scanner;
    return this.#finish(gatherFacts(this.#scanner.takeFields(), "response"), requestMethod, hasBareLf);
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
    if (line === this.#statusLine) return;
    const isCurrent = line.startsWith("HTTP/1.1 ");
    const status = line.length === 12 || line[12] === " " ? statusCode(line) : -1;
    if ((!isCurrent && !line.startsWith("HTTP/1.0 ")) || status === -1) {
      // What it is instead may be secret: an echo of the request, or a page.
      throw new HttpParseError(502, 'The status line is not "HTTP/1.1 STATUS"');
    }
    this.#statusLine = line;
    this.#status = status;
    this.#version = isCurrent ? "1.1" : "1.0";
    this.#reason = unusualReason(status, line.slice(13));
  }

  #finish(facts: HeadFacts, requestMethod: string, hasBareLf: boolean): ParsedResponse {
    const status = this.#status;
    const isCurrent = this.#version === "1.1";
    const coding = responseCoding(facts);
    const isRegular = !hasBareLf && (coding === "none" || (coding === "chunked" && isCurrent)) &&
      !(isBodyless(status) && announcesBody(facts, status));
    this.#isIrregular ||= !isRegular;
    const framing = responseFraming(facts, coding, status, requestMethod);
    const isPersistent = !facts.close && (isCurrent || facts.keepAlive) && !this.#isIrregular;
    return {
      status,
      version: this.#version,
      reason: this.#reason,
      fields: isRegular || facts.contentLength === -1 ? facts.fields : withoutFields(facts.fields, lengthField),
      framing,
      keepAlive: isPersistent && framing.kind !== "close" && status !== 101,
      keepAliveSeconds: facts.keepAliveSeconds,
      upgrade: protocolsOf(facts, status),
      isConnectionAuth: facts.isConnectionAuth,
    };
  }
}

/** Of a status without a body: bytes may follow that belong to no answer (RFC 9112 §6.1, RFC 9110 §8.6). */
function announcesBody({ transferEncoding, contentLength }: HeadFacts, status: number): boolean {
  // A 304 has the length of the 200 that it stands for.
  return status !== 304 && (transferEncoding !== undefined || contentLength > 0);
}

/** Only the statuses that need Upgrade pass it: of another answer it is an offer for this hop (RFC 9110 §7.8). */
function protocolsOf(facts: HeadFacts, status: number): string | undefined {
  if (facts.upgrade === undefined) return undefined;
  if (status === 101) return upgradeToken(facts);
  return status === 426 ? listedProtocols(facts.upgrade) : undefined;
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
function responseFraming(facts: HeadFacts, coding: ResponseCoding, status: number, requestMethod: string): Framing {
  if (requestMethod === "HEAD" || isBodyless(status)) return noBody;
  if (coding === "chunked" || coding === "irregular chunked") return chunkedFraming(facts.nominated);
  return facts.contentLength === -1 ? closeDelimitedBody : { kind: "length", length: facts.contentLength };
}
