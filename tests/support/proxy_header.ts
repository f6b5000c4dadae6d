/** Headers of the PROXY protocol, version 2, as its specification has them, and connections that are refused. */
import assert from "node:assert/strict";
import { dial, SocketError } from "../../src/net/mod.ts";
import type { TcpTarget } from "../../src/net/socket.ts";
import { bytesOf, SocketReader } from "./net.ts";

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** @param command with the version: 0x20 LOCAL, 0x21 PROXY @param payload addresses and TLVs */
export function proxyHeader(command: number, family: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.from([...signature, command, family, payload.length >> 8, payload.length & 0xff, ...payload]);
}

export function tlv(type: number, value: readonly number[]): number[] {
  return [type, value.length >> 8, value.length & 0xff, ...value];
}

/** A header for a client of IPv4 who has spoken TLS with the proxy. */
export function tlsClientHeader(address: string): Uint8Array {
  const addresses = [...address.split(".").map(Number), 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb];
  return proxyHeader(0x21, 0x11, [...addresses, ...tlv(0x20, [0x01, 0, 0, 0, 0])]);
}

/** A connection that is reset, whatever it sends. A runtime may see that during the dial or behind it. */
export async function expectReset(target: TcpTarget, text = ""): Promise<void> {
  let client: SocketReader;
  try {
    client = new SocketReader(await dial(target));
  } catch (error) {
    return assert.equal((error as SocketError).code, "connection_reset");
  }
  client.socket.write(bytesOf(text));
  assert.equal((await client.closed)?.code, "connection_reset");
}
