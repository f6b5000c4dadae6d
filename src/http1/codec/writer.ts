/**
 * Writes heads and the framing of chunks (RFC 9112). Any strict parser reads back what was meant: a name that is no
 * token, a value with a CTL, and a length that contradicts the framing are refused.
 *
 * The writer makes the fields of this hop: Host, Connection, Upgrade, TE, Transfer-Encoding, and Content-Length where
 * it is missing. Such fields among the given ones are left out. It adds no others, such as Date, Server or
 * Content-Type. Order, repeated fields and case are preserved; each character is one byte (Latin-1).
 */
import { showText } from "../../base/mod.ts";
import {
  CR,
  equalsLower,
  type Fields,
  isHopByHop,
  isProtocol,
  isProtocolList,
  LF,
  parseLength,
  reasonPhrase,
  targetBytes,
  tokenBytes,
  trailerFields,
  valueBytes,
} from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { HttpWriteError } from "./errors.ts";
import { type Framing, isBodyless } from "./framing.ts";
import { HeadEncoder } from "./head_encoder.ts";

export interface RequestHeadInit {
  readonly method: string;
  /** Origin-form or `*`; written as it is. */
  readonly target: string;
  /** The Host field's value. */
  readonly authority: string;
  readonly fields: Fields;
  /** Not `close`: a request's body cannot be delimited by the close. */
  readonly framing: Framing;
  /** The protocols to ask for, joined by commas without white space. */
  readonly upgrade?: string;
  /** False: `Connection: close`. Default true. */
  readonly keepAlive?: boolean;
  /** True: `TE: trailers`. Default false. */
  readonly acceptsTrailers?: boolean;
}

export interface ResponseHeadInit {
  /** 100 to 999. */
  readonly status: number;
  /** The reason phrase, which may be empty. Default: the standard one of the status. */
  readonly reason?: string;
  readonly fields: Fields;
  /**
   * `none` for 1xx, 204, 304 and responses to HEAD, whose Content-Length is written as given. Another response without
   * a body has the length 0.
   */
  readonly framing: Framing;
  /** The version of the request. The status line always says HTTP/1.1 (RFC 9110 §2.5). Default 1.1. */
  readonly version?: "1.0" | "1.1";
  /**
   * False: `Connection: close`, as with a body that is delimited by the close. Default true: `Connection: keep-alive`
   * for HTTP/1.0. Without effect on 1xx.
   */
  readonly keepAlive?: boolean;
  /** With status 101: the token that was agreed. With 426: the list of those that are asked for (RFC 9110 §15.5.22). */
  readonly upgrade?: string;
}

/** Rules for a Content-Length in the given fields. A number of 0 or more is the value that it must have. */
const DROP_LENGTH = -2;
const ANY_LENGTH = -1;

const encoder = new HeadEncoder();

/**
 * The head of a request, from the request line to the empty line. The caller owns the bytes.
 *
 * @param body a whole small body, which is appended to the head. `framing` must have its length.
 * @throws {HttpWriteError} where other parsers would not read back what is meant
 */
export function encodeRequestHead(head: RequestHeadInit, body: Uint8Array = emptyBytes): Uint8Array {
  const { method, target, authority, fields, framing } = head;
  if (framing.kind === "close") throw new HttpWriteError("A request's body cannot end with its connection");
  checkBody(framing, body);
  const upgrade = head.upgrade === undefined ? undefined : upgradeList(head.upgrade);
  const texts = method.length + target.length + authority.length + (upgrade?.length ?? 0);
  encoder.begin(texts + body.length, fields);
  encoder.checked(method, tokenBytes, "method");
  encoder.literal(" ");
  encoder.checked(target, targetBytes, "request target");
  encoder.literal(" HTTP/1.1\r\nHost: ");
  if (authority !== "") encoder.checked(authority, targetBytes, "Host");
  encoder.literal("\r\n");
  writeFields(fields, framing, requestLengthRule(framing), true);
  writeConnection(head.keepAlive ?? true ? "" : "close", upgrade, head.acceptsTrailers ?? false);
  encoder.literal("\r\n");
  encoder.append(body);
  return encoder.take();
}

/**
 * The head of a response, final or interim, from the status line to the empty line. The caller owns the bytes.
 *
 * @param body a whole small body, which is appended to the head. `framing` must have its length.
 * @throws {HttpWriteError} where other parsers would not read back what is meant
 */
export function encodeResponseHead(head: ResponseHeadInit, body: Uint8Array = emptyBytes): Uint8Array {
  const { status, reason, fields, framing, version = "1.1", keepAlive = true } = head;
  checkResponse(head);
  const upgrade = head.upgrade === undefined ? undefined : upgradeList(head.upgrade);
  checkBody(framing, body);
  encoder.begin((reason?.length ?? 0) + (upgrade?.length ?? 0) + body.length, fields);
  if (reason === undefined) encoder.literal(statusLine(status));
  else writeStatusLine(status, reason);
  writeFields(fields, framing, responseLengthRule(status, framing), false);
  writeConnection(status < 200 ? "" : persistenceOf(framing, keepAlive, version), upgrade, false);
  encoder.literal("\r\n");
  encoder.append(body);
  return encoder.take();
}

/** The CRLF behind a chunk's data. Must not be written into. */
export const chunkEnd: Uint8Array = Uint8Array.of(CR, LF);

/**
 * The size and CRLF before a chunk's data, behind which `chunkEnd` follows.
 *
 * @param size 1 to 2^53 - 1: a chunk of 0 bytes would end the body
 * @throws {HttpWriteError} for another size
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
 * The end of a chunked body: the last chunk, the trailer fields, the empty line. Fields that are not allowed in
 * trailers (RFC 9110 §6.5.1) are left out. The bytes must not be written into.
 *
 * @throws {HttpWriteError} for a name or value that cannot be written
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

function checkResponse({ status, framing, version, upgrade }: ResponseHeadInit): void {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new HttpWriteError(`The status ${status} is not an integer from 100 to 999`);
  }
  if (framing.kind !== "none" && isBodyless(status)) {
    throw new HttpWriteError(`An answer with the status ${status} has no body, not even an empty one`);
  }
  if (framing.kind === "chunked" && version === "1.0") throw new HttpWriteError("HTTP/1.0 knows no chunks");
  if (upgrade === undefined ? status === 101 : status !== 101 && status !== 426) {
    throw new HttpWriteError(
      `An answer with the status ${status} ${upgrade ? "upgrades nothing" : "needs an upgrade"}`,
    );
  }
  if (status === 101 && !isProtocol(upgrade as string)) {
    throw new HttpWriteError(`The upgrade ${showText(upgrade as string)} is no single protocol`);
  }
}

function checkBody(framing: Framing, body: Uint8Array): void {
  if (body.length === 0 || (framing.kind === "length" && framing.length === body.length)) return;
  throw new HttpWriteError(`A body of ${body.length} bytes does not fit the framing ${JSON.stringify(framing)}`);
}

function requestLengthRule(framing: Framing): number {
  if (framing.kind === "length") return framing.length;
  return framing.kind === "none" ? 0 : DROP_LENGTH;
}

/** 1xx and 204 have no Content-Length (RFC 9110 §8.6). 304 and responses to HEAD have that of the 200 to a GET. */
function responseLengthRule(status: number, framing: Framing): number {
  if (framing.kind === "length") return framing.length;
  return framing.kind === "none" && status >= 200 && status !== 204 ? ANY_LENGTH : DROP_LENGTH;
}

/** The connection option (RFC 9112 §9.3), if one is needed. */
function persistenceOf(framing: Framing, keepAlive: boolean, version: "1.0" | "1.1"): string {
  if (!keepAlive || framing.kind === "close") return "close";
  return version === "1.0" ? "keep-alive" : "";
}

/** Cached by status. */
const statusLines: (string | undefined)[] = new Array(1_000);

function statusLine(status: number): string {
  return statusLines[status] ??= `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
}

function writeStatusLine(status: number, reason: string): void {
  encoder.literal(`HTTP/1.1 ${status} `);
  if (reason !== "") encoder.checked(reason, valueBytes, "reason phrase");
  encoder.literal("\r\n");
}

/** Writes the fields but those of this hop, Content-Length once and by the given rule, then the framing. */
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

/** The value of Upgrade. @throws {HttpWriteError} where one of the protocols is malformed */
function upgradeList(upgrade: string): string {
  if (isProtocol(upgrade)) return upgrade;
  if (isProtocolList(upgrade)) return upgrade.split(",").map((protocol) => protocol.trim()).join(", ");
  throw new HttpWriteError(`The upgrade ${showText(upgrade)} is no list of protocols`);
}

function writeConnection(persistence: string, upgrade: string | undefined, acceptsTrailers: boolean): void {
  if (upgrade !== undefined) encoder.literal(`Upgrade: ${upgrade}\r\n`);
  if (acceptsTrailers) encoder.literal("TE: trailers\r\n");
  if (persistence === "" && upgrade === undefined && !acceptsTrailers) return;
  const options = [persistence, upgrade === undefined ? "" : "Upgrade", acceptsTrailers ? "TE" : ""];
  encoder.literal(`Connection: ${options.filter((option) => option !== "").join(", ")}\r\n`);
}
