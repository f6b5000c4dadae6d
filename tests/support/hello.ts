/** ClientHellos, built byte by byte, so that each part can be wrong. */
import { concat } from "../../src/memory/mod.ts";
import { bytesOf } from "./net.ts";

export interface HelloParts {
  legacyVersion?: number;
  sessionId?: Uint8Array;
  ciphers?: readonly number[];
  compressions?: readonly number[];
  /** Type and content of each extension; null: no list at all. */
  extensions?: readonly (readonly [type: number, content: Uint8Array])[] | null;
  /** Behind the extensions. */
  behind?: Uint8Array;
}

/** The parts in their order, as one. */
export function joined(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const chunks = parts.map((part) => part instanceof Uint8Array ? part : Uint8Array.from(part));
  return concat(chunks, chunks.reduce((sum, { length }) => sum + length, 0));
}

export function u16(value: number): number[] {
  return [value >>> 8, value & 0xff];
}

/** `content` with its length before it, in one byte or two. */
export function block(lengthBytes: 1 | 2, ...content: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const whole = joined(...content);
  return joined(lengthBytes === 1 ? [whole.length] : u16(whole.length), whole);
}

/** The extension server_name with these host names. */
export function serverName(...names: readonly string[]): readonly [number, Uint8Array] {
  return [0, block(2, ...names.map((name) => joined([0], block(2, bytesOf(name)))))];
}

/** ALPN */
export function protocolNames(...names: readonly string[]): readonly [number, Uint8Array] {
  return [16, block(2, ...names.map((name) => block(1, bytesOf(name))))];
}

export function supportedVersions(...versions: readonly number[]): readonly [number, Uint8Array] {
  return [43, block(1, ...versions.map(u16))];
}

/** The message, with its header and without records. */
export function helloMessage(parts: HelloParts = {}): Uint8Array {
  const { legacyVersion = 0x0303, sessionId = new Uint8Array(32), ciphers = [0x1301, 0xc02b] } = parts;
  const { compressions = [0], extensions = [supportedVersions(0x0304, 0x0303)], behind = [] } = parts;
  const body = joined(
    u16(legacyVersion),
    new Uint8Array(32),
    block(1, sessionId),
    block(2, ...ciphers.map(u16)),
    block(1, compressions),
    extensions === null ? [] : block(2, ...extensions.map(([type, content]) => joined(u16(type), block(2, content)))),
    behind,
  );
  return joined([1, body.length >>> 16, ...u16(body.length & 0xffff)], body);
}

/** `message` in handshake records whose fragments have at most `fragmentBytes`. */
export function recordsOf(message: Uint8Array, fragmentBytes = 16_384, type = 0x16): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += fragmentBytes) {
    records.push(joined([type, 3, 1], block(2, message.subarray(at, at + fragmentBytes))));
  }
  return joined(...records);
}

/** One of TLS 1.2 that a server answers: with common groups, point formats and signatures. */
export const tls12Hello: Uint8Array = recordsOf(helloMessage({
  ciphers: [0xc02b, 0xc02f],
  extensions: [
    [10, block(2, u16(0x001d), u16(0x0017))],
    [11, block(1, [0])],
    [13, block(2, u16(0x0403), u16(0x0804), u16(0x0401))],
  ],
}));
