/**
 * The header by which a proxy says whose connection it passes on: PROXY protocol 1 and 2, as
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt defines it. It comes before all else, TLS included.
 *
 *     1:  PROXY TCP4 203.0.113.9 192.0.2.1 51234 443 CR LF           (also TCP6, UNKNOWN; 107 bytes at most)
 *     2:  signature (12)  version, command (1)  family (1)  length (2)  addresses  TLVs: type (1), length (2), value
 */
import { isIP } from "node:net";
import { type Clock, latin1, nameErrorClass, systemClock, Timeout } from "../base/mod.ts";
import { concat, emptyBytes, release, slice } from "../memory/mod.ts";
import { canonicalAddress, tcpAddress } from "./address.ts";
import { NodeSocket } from "./node_socket.ts";
import { noHandlers, type Socket, type SocketAddress, SocketError, type SocketHandlers } from "./socket.ts";

/** Until the whole header is there. */
export const PROXY_HEADER_TIMEOUT_MS = 10_000;
/** A line of version 1, with its CRLF. */
export const MAX_PROXY_LINE_BYTES = 107;
/** Addresses and TLVs of version 2. A client's certificate may be among them. */
export const MAX_PROXY_PAYLOAD_BYTES = 4 * 1024;

export interface ProxyHeaderOptions {
  /** Whether the headers of a proxy with that address are believed. */
  isTrusted(peer: SocketAddress): boolean;
  /** Milliseconds until the whole header must be there. Default 10,000. */
  timeoutMs?: number;
  clock?: Clock;
}

/**
 * Reads the header of an accepted socket, which must be that of a listener and paused. Resolves to the same socket, paused,
 * whose `remote` is the client's address as the header says. With LOCAL, UNKNOWN, UNSPEC and unix addresses, which say
 * none, it stays the proxy's, as `isProxys` says. What came behind the header is read from the socket as usual.
 *
 * @throws {SocketError} `address_not_allowed` where the proxy is not trusted, which is then not read at all;
 *   `proxy_failed` where something else comes than a header; `connect_timeout`; `connection_reset`. The socket is closed.
 */
export function readProxyHeader(raw: Socket, options: ProxyHeaderOptions): Promise<Socket> {
  if (!(raw instanceof NodeSocket)) throw new TypeError("A PROXY header can only be read from a listener's socket");
  return new Promise((resolve, reject) => {
    const reader = new HeaderReader(raw, options, resolve, reject);
    if (options.isTrusted(raw.remote)) return reader.start();
    const reason = "The connection is not that of a trusted proxy";
    reader.fail(new SocketError({ code: "address_not_allowed", reason, initiator: "remote" }));
  });
}

class HeaderReader implements SocketHandlers {
  readonly #raw: NodeSocket;
  readonly #timeoutMs: number;
  readonly #timeout: Timeout;
  readonly #resolve: (socket: Socket) => void;
  readonly #reject: (error: SocketError) => void;
  /** An incomplete header. */
  #read: Uint8Array = emptyBytes;

  constructor(
    raw: NodeSocket,
    { timeoutMs = PROXY_HEADER_TIMEOUT_MS, clock = systemClock }: ProxyHeaderOptions,
    resolve: (socket: Socket) => void,
    reject: (error: SocketError) => void,
  ) {
    this.#raw = raw;
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timeout = new Timeout(clock, () => this.#onTimeout());
  }

  start(): void {
    this.#timeout.start(this.#timeoutMs);
    this.#raw.handlers = this;
    this.#raw.resume();
  }

  fail(error: SocketError): void {
    this.#timeout.close();
    this.#raw.handlers = noHandlers;
    this.#raw.reset();
    this.#reject(error);
  }

  onData(chunk: Uint8Array): void {
    const bytes = this.#read.length === 0 ? chunk : concat([this.#read, chunk], this.#read.length + chunk.length);
    if (bytes !== chunk) release(chunk);
    let header: ProxyHeader | null;
    try {
      header = parseProxyHeader(bytes);
    } catch (cause) {
      release(bytes);
      if (!(cause instanceof ProxyHeaderError)) throw cause;
      return this.#failed("proxy_failed", cause.message);
    }
    if (header === null) this.#read = bytes;
    else this.#finish(header, bytes);
  }

  onEnd(): void {
    this.#failed("connection_reset", "The connection ended within its PROXY header");
  }

  onDrain(): void {}

  onClose(): void {
    this.#failed("connection_reset", "The connection broke off within its PROXY header");
  }

  #finish({ source, byteLength }: ProxyHeader, bytes: Uint8Array): void {
    const raw = this.#raw;
    this.#timeout.close();
    raw.pause();
    raw.handlers = noHandlers;
    raw.remote = source ?? { ...raw.remote, isProxys: true };
    if (bytes.length > byteLength) raw.putBack(slice(bytes, byteLength, bytes.length));
    release(bytes);
    this.#resolve(raw);
  }

  #onTimeout(): void {
    this.#failed("connect_timeout", `The PROXY header was not whole within ${this.#timeoutMs} ms`);
  }

  #failed(code: "proxy_failed" | "connect_timeout" | "connection_reset", reason: string): void {
    this.fail(new SocketError({ code, reason, initiator: "remote" }));
  }
}

/** The bytes are no PROXY header. The message has no address, so that those who count reasons count the same one. */
export class ProxyHeaderError extends Error {
  static {
    nameErrorClass(this, "ProxyHeaderError");
  }
}

export interface ProxyHeader {
  /** The client's address; null where the header does not say it. */
  readonly source: SocketAddress | null;
  /** Of the header itself. */
  readonly byteLength: number;
}

const encoder = new TextEncoder();
const lineBegin = encoder.encode("PROXY ");
const signature = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Signature, version and command, family, length. */
const FIXED_BYTES = 16;

/**
 * The header at the beginning of `bytes`; null where it is not whole yet.
 *
 * @throws {ProxyHeaderError} as soon as the bytes cannot become one
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | null {
  if (beginsLike(bytes, lineBegin)) return parseLine(bytes);
  if (beginsLike(bytes, signature)) return parseBinary(bytes);
  throw new ProxyHeaderError("The connection begins without a PROXY header");
}

function beginsLike(bytes: Uint8Array, begin: Uint8Array): boolean {
  const length = Math.min(bytes.length, begin.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== begin[index]) return false;
  return true;
}

function parseLine(bytes: Uint8Array): ProxyHeader | null {
  const end = bytes.indexOf(0x0a);
  if (end < 0 ? bytes.length >= MAX_PROXY_LINE_BYTES : end >= MAX_PROXY_LINE_BYTES) {
    throw new ProxyHeaderError(`The PROXY line is over ${MAX_PROXY_LINE_BYTES} bytes`);
  }
  if (end < 0) return null;
  const line = latin1(bytes, 0, end + 1);
  const byteLength = end + 1;
  if (/^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/.test(line)) return { source: null, byteLength };
  const port = "(0|[1-9][0-9]{0,4})";
  const form = new RegExp(`^PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ${port} ${port}\r\n$`);
  const [, family, from, to, fromPort, toPort] = form.exec(line) ?? [];
  const isWhole = family !== undefined && [from, to].every((address) => isIP(address as string) === Number(family));
  if (!isWhole || Number(fromPort) > 65_535 || Number(toPort) > 65_535) {
    throw new ProxyHeaderError("The PROXY line is malformed");
  }
  return { source: tcpAddress(canonicalAddress(from as string) ?? "", Number(fromPort)), byteLength };
}

/** Version and command. */
const LOCAL = 0x20;
const PROXY = 0x21;
/** Address family and transport, with the bytes that the addresses take. */
const familyBytes: ReadonlyMap<number, number> = new Map([[0x00, 0], [0x11, 12], [0x21, 36], [0x31, 216]]);
const TCP4 = 0x11;
const TCP6 = 0x21;

function parseBinary(bytes: Uint8Array): ProxyHeader | null {
  if (bytes.length <= signature.length) return null;
  const command = bytes[signature.length];
  if (command !== LOCAL && command !== PROXY) {
    throw new ProxyHeaderError(`The PROXY header has the unknown version and command 0x${command.toString(16)}`);
  }
  if (bytes.length < FIXED_BYTES) return null;
  const payloadBytes = bytes[14] << 8 | bytes[15];
  if (payloadBytes > MAX_PROXY_PAYLOAD_BYTES) {
    throw new ProxyHeaderError(`The PROXY header announces ${payloadBytes} bytes, over ${MAX_PROXY_PAYLOAD_BYTES}`);
  }
  const byteLength = FIXED_BYTES + payloadBytes;
  if (bytes.length < byteLength) return null;
  // The proxy speaks for itself, such as to see whether somebody listens. What else it says is to be ignored.
  if (command === LOCAL) return { source: null, byteLength };
  return { source: readSource(bytes[13], bytes.subarray(FIXED_BYTES, byteLength)), byteLength };
}

function readSource(family: number, payload: Uint8Array): SocketAddress | null {
  const addressBytes = familyBytes.get(family);
  if (addressBytes === undefined) {
    throw new ProxyHeaderError(`The PROXY header has the address family 0x${family.toString(16)}, which is not served`);
  }
  if (payload.length < addressBytes) throw new ProxyHeaderError("The PROXY header is too short for its addresses");
  const usesTls = saysTls(payload, addressBytes);
  let source: SocketAddress;
  if (family === TCP4) source = tcpAddress(payload.subarray(0, 4).join("."), payload[8] << 8 | payload[9]);
  else if (family === TCP6) source = tcpAddress(addressOf(payload), payload[32] << 8 | payload[33]);
  else return null;
  return usesTls ? { ...source, usesTls: true } : source;
}

/** The IPv6 address in the first 16 bytes. */
function addressOf(payload: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, at) => (payload[2 * at] << 8 | payload[2 * at + 1]).toString(16));
  return canonicalAddress(groups.join(":")) ?? "";
}

const TLV_SSL = 0x20;
const CLIENT_SSL = 0x01;

/** Whether a TLV says that the client came by TLS. All TLVs are looked at, since a malformed one makes the header so. */
function saysTls(payload: Uint8Array, from: number): boolean {
  let usesTls = false;
  for (let at = from; at < payload.length;) {
    const end = at + 3 + (payload[at + 1] << 8 | payload[at + 2]);
    if (at + 3 > payload.length || end > payload.length) throw new ProxyHeaderError("A TLV of the PROXY header is cut");
    if (payload[at] === TLV_SSL && end > at + 3) usesTls = (payload[at + 3] & CLIENT_SSL) !== 0;
    at = end;
  }
  return usesTls;
}
