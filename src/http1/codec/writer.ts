/**
 * Heads and chunk framing as bytes (RFC 9112). What is written is what a strict reader reads back: a name that is no
 * token, a value with a CTL, or a length that disagrees with the framing is refused before a byte of it is out.
 *
 * The writer makes the fields of its own hop itself: Host, Connection, Upgrade, TE, Transfer-Encoding, and a
 * Content-Length where there is none yet. Those that stand in the given fields are left out. It adds nothing else: no
 * Date, no Server, no Content-Type. Fields keep order, repeats and case; characters stand for bytes (Latin-1).
 */
import {
  CR,
  equalsLower,
  type Fields,
  isHopByHop,
  isProtocol,
  LF,
  parseLength,
  targetBytes,
  tokenBytes,
  trailerFields,
} from "../../http/mod.ts";
import { showText } from "../../base/mod.ts";
import { HttpWriteError } from "./errors.ts";
import type { Framing } from "./framing.ts";
import { HeadEncoder } from "./head_encoder.ts";
import { reasonPhrase } from "./reason_phrases.ts";
import { emptyBytes } from "../../memory/mod.ts";

export { reasonPhrase } from "./reason_phrases.ts";

export interface RequestHeadInit {
  readonly method: string;
  /** Origin-form or `*`; written as it is. */
  readonly target: string;
  /** The Host field's value. */
  readonly authority: string;
  readonly fields: Fields;
  /** Not `close`: a request cannot end with its connection. */
  readonly framing: Framing;
  /** The one token to ask for. */
  readonly upgrade?: string;
  /** False: `Connection: close`. Default true. */
  readonly keepAlive?: boolean;
  /** True: `TE: trailers`. Default false. */
  readonly acceptsTrailers?: boolean;
}

export interface AnswerHeadInit {
  /** 100 to 999. */
  readonly status: number;
  readonly fields: Fields;
  /**
   * `none` for 1xx, 204, 304 and any answer to HEAD, whose Content-Length is then written as given; any other answer
   * without a body has the length 0.
   */
  readonly framing: Framing;
  /** The version that the client speaks; the status line always says HTTP/1.1 (RFC 9110 §2.5). Default 1.1. */
  readonly version?: "1.0" | "1.1";
  /**
   * False: `Connection: close`, as with a body that goes until the close. Default true, which an HTTP/1.0 client is
   * told. Of no effect on 1xx.
   */
  readonly keepAlive?: boolean;
  /** For status 101: the token that was agreed. */
  readonly upgrade?: string;
}

/** What becomes of a Content-Length in the given fields; a number of 0 or more is what it must say. */
const DROP_LENGTH = -2;
const ANY_LENGTH = -1;

const encoder = new HeadEncoder();

/**
 * A request's head, from the request line to the empty line. The bytes are the caller's.
 *
 * @param body a whole small body, written behind the head into the same bytes; `framing` must tell its length.
 * @throws {HttpWriteError} for what would not be read back as what was meant.
 */
export function encodeRequestHead(head: RequestHeadInit, body: Uint8Array = emptyBytes): Uint8Array {
  const { method, target, authority, fields, framing } = head;
  if (framing.kind === "close") throw new HttpWriteError("A request's body cannot end with its connection");
  checkBody(framing, body);
  const texts = method.length + target.length + authority.length + (head.upgrade?.length ?? 0);
  encoder.begin(texts + body.length, fields);
  encoder.checked(method, tokenBytes, "method");
  encoder.literal(" ");
  encoder.checked(target, targetBytes, "request target");
  encoder.literal(" HTTP/1.1\r\nHost: ");
  if (authority !== "") encoder.checked(authority, targetBytes, "Host");
  encoder.literal("\r\n");
  writeFields(fields, framing, requestLengthRule(framing), true);
  writeConnection(head.keepAlive ?? true ? "" : "close", head.upgrade, head.acceptsTrailers ?? false);
  encoder.literal("\r\n");
  encoder.append(body);
  return encoder.take();
}

/**
 * An answer's head, also an interim one's, from the status line to the empty line. The bytes are the caller's.
 *
 * @param body a whole small body, written behind the head into the same bytes; `framing` must tell its length.
 * @throws {HttpWriteError} for what would not be read back as what was meant.
 */
export function encodeAnswerHead(head: AnswerHeadInit, body: Uint8Array = emptyBytes): Uint8Array {
  const { status, fields, framing, version = "1.1", keepAlive = true, upgrade } = head;
  checkAnswer(head);
  checkBody(framing, body);
  encoder.begin((upgrade?.length ?? 0) + body.length, fields);
  encoder.literal(statusLine(status));
  writeFields(fields, framing, answerLengthRule(status, framing), false);
  writeConnection(status < 200 ? "" : persistence(framing, keepAlive, version), upgrade, false);
  encoder.literal("\r\n");
  encoder.append(body);
  return encoder.take();
}

/** The CRLF behind a chunk's data. Shared: not to be written into. */
export const chunkEnd: Uint8Array = Uint8Array.of(CR, LF);

/**
 * What stands before a chunk's data: its size and CRLF. `chunkEnd` comes behind the data.
 *
 * @param size 1 to 2^53 - 1: a chunk of 0 bytes would end the body.
 * @throws {HttpWriteError} for another size.
 */
export function chunkHeader(size: number): Uint8Array {
  if (!Number.isSafeInteger(size) || size < 1) throw new HttpWriteError(`A chunk cannot have ${size} bytes`);
  const digits = size.toString(16);
  const bytes = new Uint8Array(digits.length + 2);
  for (let i = 0; i < digits.length; i++) bytes[i] = digits.charCodeAt(i);
  bytes[digits.length] = CR;
  bytes[digits.length + 1] = LF;
  return bytes;
}

const plainLastChunk: Uint8Array = Uint8Array.of(0x30, CR, LF, CR, LF);

/**
 * The end of a chunked body: the last chunk, the trailer fields, the empty line. Fields that must not stand in
 * trailers (RFC 9110 §6.5.1) are left out. Without trailers the bytes are shared: not to be written into.
 *
 * @throws {HttpWriteError} for a name or value that cannot be written.
 */
export function lastChunk(trailers: Fields = []): Uint8Array {
  if (trailers.length === 0) return plainLastChunk;
  const allowed = trailerFields(trailers);
  encoder.begin(0, allowed);
  encoder.literal("0\r\n");
  for (let i = 0; i < allowed.length; i += 2) encoder.field(allowed[i], allowed[i + 1]);
  encoder.literal("\r\n");
  return encoder.take();
}

function checkAnswer({ status, framing, version, upgrade }: AnswerHeadInit): void {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new HttpWriteError(`The status ${status} is not an integer from 100 to 999`);
  }
  if (framing.kind !== "none" && hasNoBody(status)) {
    throw new HttpWriteError(`An answer with the status ${status} has no body, not even an empty one`);
  }
  if (framing.kind === "chunked" && version === "1.0") throw new HttpWriteError("HTTP/1.0 knows no chunks");
  if ((status === 101) !== (upgrade !== undefined)) {
    throw new HttpWriteError(
      `An answer with the status ${status} ${upgrade ? "upgrades nothing" : "needs an upgrade"}`,
    );
  }
}

function checkBody(framing: Framing, body: Uint8Array): void {
  if (body.length === 0 || (framing.kind === "length" && framing.length === body.length)) return;
  throw new HttpWriteError(`A body of ${body.length} bytes does not fit the framing ${JSON.stringify(framing)}`);
}

/** RFC 9110 §15.2, §15.3.5, §15.4.5. */
function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

function requestLengthRule(framing: Framing): number {
  if (framing.kind === "length") return framing.length;
  return framing.kind === "none" ? 0 : DROP_LENGTH;
}

/** 1xx and 204 have no Content-Length at all (RFC 9110 §8.6); answers to HEAD and 304 have that of another answer. */
function answerLengthRule(status: number, framing: Framing): number {
  if (framing.kind === "length") return framing.length;
  return framing.kind === "none" && status >= 200 && status !== 204 ? ANY_LENGTH : DROP_LENGTH;
}

/** What Connection says about the time after this answer; a body that ends with the connection decides it. */
function persistence(framing: Framing, keepAlive: boolean, version: "1.0" | "1.1"): string {
  if (!keepAlive || framing.kind === "close") return "close";
  return version === "1.0" ? "keep-alive" : "";
}

/** By status, as they were needed. */
const statusLines: (string | undefined)[] = new Array(1_000);

function statusLine(status: number): string {
  return statusLines[status] ??= `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
}

/** Writes the fields but those of this hop, Content-Length once and as `rule` wants it, and then the framing. */
function writeFields(fields: Fields, framing: Framing, rule: number, isRequest: boolean): void {
  let hasLength = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (isHopByHop(name) || (isRequest && equalsLower(name, "host"))) continue;
    if (equalsLower(name, "content-length")) {
      if (rule === DROP_LENGTH) continue;
      checkLength(value, rule);
      if (hasLength) continue;
      hasLength = true;
    }
    encoder.field(name, value);
  }
  if (framing.kind === "chunked") encoder.literal("Transfer-Encoding: chunked\r\n");
  if (framing.kind === "length" && !hasLength) encoder.literal(`Content-Length: ${framing.length}\r\n`);
}

function checkLength(value: string, rule: number): void {
  const length = parseLength(value);
  if (length === -1) throw new HttpWriteError(`The Content-Length ${showText(value)} is no number of bytes`);
  if (rule !== ANY_LENGTH && length !== rule) {
    throw new HttpWriteError(`The Content-Length is ${length} where the body has ${rule} bytes`);
  }
}

function writeConnection(persists: string, upgrade: string | undefined, acceptsTrailers: boolean): void {
  if (upgrade !== undefined) {
    if (!isProtocol(upgrade)) {
      throw new HttpWriteError(`The upgrade ${showText(upgrade)} is no single protocol`);
    }
    encoder.literal(`Upgrade: ${upgrade}\r\n`);
  }
  if (acceptsTrailers) encoder.literal("TE: trailers\r\n");
  if (persists === "" && upgrade === undefined && !acceptsTrailers) return;
  const options = [persists, upgrade === undefined ? "" : "Upgrade", acceptsTrailers ? "TE" : ""];
  encoder.literal(`Connection: ${options.filter((option) => option !== "").join(", ")}\r\n`);
}
