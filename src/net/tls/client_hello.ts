/**
 * What a client says first, read before a certificate is chosen. The runtimes' own callbacks for that do not work on a
 * stream of ours: Bun ignores them, and Deno's must answer at once.
 *
 *     record: type 22 │ version │ length │ fragment      a message may be cut anywhere (RFC 8446 §5.1)
 *     message: type 1 │ length   │ ClientHello           (RFC 8446 §4.1.2)
 */
import { isIP } from "node:net";
import { latin1, nameErrorClass, readU16, showByte } from "../../base/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { Alert } from "./alerts.ts";
import type { ClientHello } from "./certificate_source.ts";

/** What is read before a client was answered: its hello with its records. Those of browsers have up to 2 KiB. */
export const MAX_HELLO_BYTES = 16 * 1024;

const CONTENT_HANDSHAKE = 0x16;
const CONTENT_ALERT = 0x15;
const RECORD_HEADER_BYTES = 5;
const MAX_FRAGMENT_BYTES = 16 * 1024;
const MESSAGE_CLIENT_HELLO = 1;
const MESSAGE_HEADER_BYTES = 4;
const RANDOM_BYTES = 32;
const MAX_SESSION_ID_BYTES = 32;
const TLS_1_2 = 0x0303;
const TLS_1_3 = 0x0304;

const EXTENSION_SERVER_NAME = 0;
const EXTENSION_PROTOCOLS = 16;
const EXTENSION_VERSIONS = 43;
const NAME_TYPE_HOST = 0;

/** What came is no hello that can be answered. `alert` says so to the peer; null: it cannot read alerts. */
export class HelloError extends Error {
  static {
    nameErrorClass(this, "HelloError");
  }

  readonly alert: Alert | null;
  /** What came begins as a text does: an HTTP request without TLS, most likely. */
  readonly isText: boolean;

  constructor(reason: string, alert: Alert | null, isText = false) {
    super(reason);
    this.alert = alert;
    this.isText = isText;
  }
}

/** Bytes in their order, copied together: a hello may come byte by byte. */
class ByteRow {
  #bytes: Uint8Array = emptyBytes;
  length = 0;

  append(part: Uint8Array): void {
    const length = this.length + part.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.length);
    this.length = length;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** Reads the hello of one connection, however it is cut. */
export class ClientHelloReader {
  readonly #raw = new ByteRow();
  readonly #message = new ByteRow();
  /** Of the raw bytes: where the next record begins. */
  #recordAt = 0;

  /** Everything that was read, for the runtime's TLS. It may end behind the hello. */
  get bytes(): Uint8Array {
    return this.#raw.bytes;
  }

  /**
   * Takes the next bytes, which it copies. Returns the hello once it is whole, else null.
   *
   * @throws {HelloError} at the first byte that shows that this will be none
   */
  read(bytes: Uint8Array): ClientHello | null {
    const room = MAX_HELLO_BYTES - this.#raw.length;
    this.#raw.append(bytes.length > room ? bytes.subarray(0, room) : bytes);
    while (!this.#isWhole && this.#takeRecord());
    const isWhole = this.#isWhole;
    if (bytes.length > room || (!isWhole && bytes.length === room)) throw tooLong();
    return isWhole ? parseHello(this.#message.bytes) : null;
  }

  get #isWhole(): boolean {
    const { bytes, length } = this.#message;
    return length >= MESSAGE_HEADER_BYTES && length >= MESSAGE_HEADER_BYTES + messageLength(bytes);
  }

  /** Takes the fragment of the next record where it is whole. Returns false where it is not. */
  #takeRecord(): boolean {
    const { bytes } = this.#raw;
    const at = this.#recordAt;
    if (at < bytes.length) checkContentType(bytes[at]);
    if (at + 1 < bytes.length && bytes[at + 1] !== 0x03) {
      throw new HelloError(`its record has the version ${showByte(bytes[at + 1])}`, Alert.PROTOCOL_VERSION);
    }
    if (at + RECORD_HEADER_BYTES > bytes.length) return false;
    const length = readU16(bytes, at + 3);
    if (length === 0 || length > MAX_FRAGMENT_BYTES) {
      throw new HelloError(`its record has ${length} bytes`, Alert.DECODE_ERROR);
    }
    const begin = at + RECORD_HEADER_BYTES;
    if (this.#message.length === 0 && begin < bytes.length) checkMessageType(bytes[begin]);
    if (begin + length > bytes.length) return false;
    this.#message.append(bytes.subarray(begin, begin + length));
    this.#recordAt = begin + length;
    this.#checkLength();
    return true;
  }

  /** A message that will not fit is refused before its client sends it. */
  #checkLength(): void {
    const { bytes, length } = this.#message;
    if (length >= MESSAGE_HEADER_BYTES && messageLength(bytes) > MAX_HELLO_BYTES) throw tooLong();
  }
}

function tooLong(): HelloError {
  return new HelloError(`it sends more than ${MAX_HELLO_BYTES} bytes before it was answered`, Alert.DECODE_ERROR);
}

function messageLength(bytes: Uint8Array): number {
  return (bytes[1] << 16) | readU16(bytes, 2);
}

function checkContentType(type: number): void {
  if (type === CONTENT_HANDSHAKE) return;
  if (type === CONTENT_ALERT) throw new HelloError("it sent an alert in place of a hello", null);
  const isText = type >= 0x41 && type <= 0x5a;
  if (isText) throw new HelloError("it does not speak TLS", null, true);
  // The types of TLS are 20 to 24; older clients begin with a length.
  const isRecord = type >= 20 && type <= 24;
  const reason = isRecord ? `it began with a record of the type ${type}` : "it does not speak TLS";
  throw new HelloError(reason, isRecord ? Alert.UNEXPECTED_MESSAGE : null);
}

function checkMessageType(type: number): void {
  if (type === MESSAGE_CLIENT_HELLO) return;
  throw new HelloError(`it began with a message of the type ${type}`, Alert.UNEXPECTED_MESSAGE);
}

/** A part of the hello, read from front to end. Whatever does not fit in is malformed. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  skip(count: number): number {
    const at = this.#at;
    if (at + count > this.#end) throw malformed("ends too early");
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.skip(1)];
  }

  u16(): number {
    return readU16(this.#bytes, this.skip(2));
  }

  /** A part with its length before it. */
  block(length: number): Cursor {
    const at = this.skip(length);
    return new Cursor(this.#bytes, at, at + length);
  }

  text(): string {
    return latin1(this.#bytes, this.#at, this.#end);
  }
}

function malformed(how: string): HelloError {
  return new HelloError(`its hello ${how}`, Alert.DECODE_ERROR);
}

/** @param message with its header; what follows the hello is left to the runtime */
function parseHello(message: Uint8Array): ClientHello {
  const hello = new Cursor(message, MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + messageLength(message));
  const legacyVersion = hello.u16();
  hello.skip(RANDOM_BYTES);
  const sessionId = hello.block(hello.u8());
  if (sessionId.left > MAX_SESSION_ID_BYTES) throw malformed("has a long session id");
  const ciphers = hello.block(hello.u16());
  if (ciphers.left < 2 || ciphers.left % 2 !== 0) throw malformed("has no list of ciphers");
  if (hello.block(hello.u8()).isAtEnd) throw malformed("has no list of compressions");
  const extensions = hello.isAtEnd ? null : hello.block(hello.u16());
  if (!hello.isAtEnd) throw malformed("has bytes behind its extensions");
  const { serverName = null, protocols = [], versions } = parseExtensions(extensions);
  // Without the extension, a later version than 1.2 means that (RFC 8446 §4.2.1).
  const isSpoken = versions === undefined
    ? legacyVersion >= TLS_1_2
    : versions.includes(TLS_1_2) || versions.includes(TLS_1_3);
  if (!isSpoken) throw new HelloError("it speaks neither TLS 1.2 nor 1.3", Alert.PROTOCOL_VERSION);
  return { serverName, protocols };
}

interface Extensions {
  serverName?: string | null;
  protocols?: readonly string[];
  versions?: readonly number[];
}

function parseExtensions(list: Cursor | null): Extensions {
  const found: Extensions = {};
  while (list !== null && !list.isAtEnd) {
    const type = list.u16();
    const extension = list.block(list.u16());
    if (type === EXTENSION_SERVER_NAME) {
      if (found.serverName !== undefined) throw malformed("has its server name twice");
      found.serverName = parseServerName(extension);
    } else if (type === EXTENSION_PROTOCOLS) {
      if (found.protocols !== undefined) throw malformed("has its protocols twice");
      found.protocols = parseProtocols(extension);
    } else if (type === EXTENSION_VERSIONS) {
      if (found.versions !== undefined) throw malformed("has its versions twice");
      found.versions = parseVersions(extension);
    }
  }
  return found;
}

/** RFC 6066 §3: a list, in which names of other types than hosts may stand. */
function parseServerName(extension: Cursor): string | null {
  const list = onlyBlock(extension);
  let name: string | null = null;
  while (!list.isAtEnd) {
    const type = list.u8();
    const entry = list.block(list.u16());
    if (type !== NAME_TYPE_HOST) continue;
    if (name !== null || entry.isAtEnd) throw malformed("has no server name, or several");
    name = entry.text();
  }
  return name === null ? null : hostname(name);
}

const hostnameForm = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** In lower case; null where it is no name, as an address, which must not be sent (RFC 6066 §3). */
function hostname(text: string): string | null {
  const lower = text.toLowerCase();
  return hostnameForm.test(lower) && isIP(lower) === 0 ? lower : null;
}

/** RFC 7301 §3.1 */
function parseProtocols(extension: Cursor): string[] {
  const list = onlyBlock(extension);
  const protocols: string[] = [];
  while (!list.isAtEnd) {
    const protocol = list.block(list.u8());
    if (protocol.isAtEnd) throw malformed("has an empty protocol");
    protocols.push(protocol.text());
  }
  return protocols;
}

/** RFC 8446 §4.2.1 */
function parseVersions(extension: Cursor): number[] {
  const list = extension.block(extension.u8());
  if (list.isAtEnd || list.left % 2 !== 0 || !extension.isAtEnd) throw malformed("has no list of versions");
  const versions: number[] = [];
  while (!list.isAtEnd) versions.push(list.u16());
  return versions;
}

/** The list that an extension consists of, which is never empty. */
function onlyBlock(extension: Cursor): Cursor {
  const list = extension.block(extension.u16());
  if (list.isAtEnd || !extension.isAtEnd) throw malformed("has an extension of another length than it says");
  return list;
}
