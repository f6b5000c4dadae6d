/**
 * What the runtimes keep under a socket of `node:net`, where its own face cannot do what is needed, or costs too much:
 * the streams that Bun puts between a socket and its owner take a tenth of a small request's processor time (1.4.5),
 * and are compiled anew whenever a few connections come. A runtime that keeps something else there is used as it is.
 */
import type * as net from "node:net";
import { runtimeName } from "./platform.ts";

export interface Handle {
  /** Bun's: stop and go on reading. */
  pause?(): void;
  resume?(): void;
  /** Bun's: how many of the bytes the kernel took; below 0 where the connection is over. */
  write?(bytes: Uint8Array): number;
  /** Deno's and Node's: getpeername(2). An error number, or 0 and the name in `out`. */
  getpeername?(out: object): number;
}

/** Null or undefined once the socket was destroyed. */
export function handleOf(raw: net.Socket): Handle | null | undefined {
  return (raw as { _handle?: Handle | null })._handle;
}

/**
 * Gives the kernel what it takes at once, past the stream's queue, in which nothing may wait. Returns how many bytes
 * that was; the rest is the queue's, which also tells what failed.
 */
export function writeAtOnce(raw: net.Socket, bytes: Uint8Array): number {
  if (runtimeName !== "bun") return 0;
  return Math.max(0, handleOf(raw)?.write?.(bytes) ?? 0);
}

/**
 * Offers `take` what was read before it goes to the stream's queue, and 'data'. Where that returns false, where
 * something waits in the queue, and for the end, the queue gets it as ever.
 */
export function interceptReads(raw: net.Socket, take: (chunk: Uint8Array) => boolean): void {
  if (runtimeName !== "bun") return;
  const { push } = raw;
  raw.push = function (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
    if (chunk !== null && raw.readableLength === 0 && take(chunk)) return true;
    return push.call(raw, chunk, encoding);
  };
}
