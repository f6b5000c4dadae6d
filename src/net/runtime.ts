/** What differs between the runtimes, although all have `node:net`. Each has an object in a file of its own. */
import type * as net from "node:net";
import type * as tls from "node:tls";
import type { Libc } from "./libc_functions.ts";
import type { ListenTarget } from "./socket.ts";

export type RuntimeName = "bun" | "deno" | "node";

export interface Runtime {
  readonly name: RuntimeName;
  /** Stops reading at once, after `raw.pause()`. */
  pause(raw: net.Socket): void;
  /** Undoes `pause`, after `raw.resume()`. */
  resume(raw: net.Socket): void;
  /**
   * Writes without the runtime's stream, whose queue must be empty. Returns how many bytes the kernel took, and -1 where
   * the connection broke. The rest must be written to the stream.
   */
  writeNow(raw: net.Socket, bytes: Uint8Array): number;
  /**
   * Offers each read to `take`, before the runtime's stream. The stream gets a read where `take` returns false or other
   * bytes wait in the stream, and it gets the end. Deno offers none: there a paused stream is made to hold one read.
   */
  interceptReads(raw: net.Socket, take: (chunk: Uint8Array) => boolean): void;
  /** Gives `onFailure` the errors of the stream's writes, which would destroy `raw`, with all that it has not read. */
  interceptWriteErrors(raw: net.Socket, onFailure: (error: Error) => void): void;
  /** Has the runtime's TLS on a stream of ours give its bytes without a copy of its own. Where it makes none: nothing. */
  spareTlsCopy(engine: tls.TLSSocket): void;
  /** Notices paused sockets whose connection broke. Null: the runtime closes those itself. */
  readonly watch: { add(raw: net.Socket, onBroken: () => void): void; remove(raw: net.Socket): void } | null;
  /** Calls `then` when the event loop has polled the system, and what it told was handled. To be called at a tick's end. */
  afterPoll(then: () => void): void;
  /** Calls `then` when the event loop has polled the system once more, so that other sockets come first. */
  afterNextPoll(then: () => void): void;
  /**
   * Throws where the process may not listen on `target` by the runtime's own permissions, after it has asked for them.
   */
  permitListen(target: ListenTarget): void;
  /** Whether the process may know the addresses of this machine. Nobody is asked for the permission. */
  mayReadAddresses(): boolean;
  /** Has a listener whose accept failed accept again. Null: the runtime goes on by itself. */
  readonly revive: ((server: net.Server, backlog: number) => void) | null;
  /** Opens the C library of that file name, by `libcSignatures`. Throws where there is none, or it may not be called. */
  openLibc(name: string): Libc;
  /** Calls `use` with the descriptor of `raw`, which is valid during the call; not where there is none. */
  withDescriptor(raw: net.Socket | net.Server, libc: Libc, use: (fd: number) => void): void;
  /**
   * Whether the kernel may be made to hold little for a dialed socket. Where it takes less of an upload, the runtime
   * itself writes the rest later, and an early answer must survive that this fails.
   */
  readonly canBoundDialed: boolean;
  /** See `tuneRuntime`. */
  tune(): void;
}
