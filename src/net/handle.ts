/** What the runtimes keep under a socket of `node:net`, where its own face cannot do what is needed. */
import type * as net from "node:net";

export interface Handle {
  /** Bun's: stop and go on reading. */
  pause?(): void;
  resume?(): void;
  /** Deno's and Node's: getpeername(2). An error number, or 0 and the name in `out`. */
  getpeername?(out: object): number;
}

/** Null or undefined once the socket was destroyed. */
export function handleOf(raw: net.Socket): Handle | null | undefined {
  return (raw as { _handle?: Handle | null })._handle;
}
