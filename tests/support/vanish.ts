/** Peers that vanish: their kernel answers nothing any more, as that of a machine which lost its network. */
import * as net from "node:net";
import process from "node:process";
import { runtime } from "../../src/net/current_runtime.ts";
import { libc } from "../../src/net/libc.ts";
import { runtimeName } from "../../src/net/mod.ts";

/** The reason to skip a test that needs `vanish`; false where it works. */
export const cannotVanish: string | false = libc() === null && "no filter can be attached to sockets here";

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/** The one instruction of a filter that lets no byte of any packet pass: `ret 0` (classic BPF). */
const dropAll = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0, 0);

/** From now on the kernel drops all packets that come for `raw`, unseen. */
export function vanish(raw: net.Socket): void {
  const library = libc()!;
  // struct sock_fprog: the number of instructions, and where they are.
  const program = new BigUint64Array([1n, addressOf(dropAll)]);
  let result = -1;
  runtime.withDescriptor(raw, library, (fd) => {
    result = library.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, new Int32Array(program.buffer), program.byteLength);
  });
  if (result !== 0) throw new Error("the filter was refused");
}

interface DenoPointers {
  readonly UnsafePointer: { of(bytes: Uint8Array): object; value(pointer: object): bigint };
}

function addressOf(bytes: Uint8Array): bigint {
  if (runtimeName === "deno") {
    const { UnsafePointer } = (globalThis as unknown as { Deno: DenoPointers }).Deno;
    return BigInt(UnsafePointer.value(UnsafePointer.of(bytes)));
  }
  const { ptr } = process.getBuiltinModule("bun:ffi") as unknown as { ptr(bytes: Uint8Array): number };
  return BigInt(ptr(bytes));
}

/** A connection of a peer that can vanish: plain `node:net`, which the code under test does not see. */
export function connectRaw(port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const raw = net.connect({ host: "127.0.0.1", port }, () => resolve(raw));
    raw.on("error", reject);
    raw.pause();
  });
}
