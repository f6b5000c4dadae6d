/** What differs between the runtimes, although all have `node:net`. Each has an object in a file of its own. */
import type * as net from "node:net";

export type RuntimeName = "bun" | "deno" | "node";

export interface Runtime {
  readonly name: RuntimeName;
  /** Stops reading at once, after `raw.pause()`. */
  pause(raw: net.Socket): void;
  /** Undoes `pause`, after `raw.resume()`. */
  resume(raw: net.Socket): void;
  /**
   * Writes without the runtime's stream, whose queue must be empty. Returns how many bytes the kernel took. The rest
   * must be written to the stream, which reports errors, too.
   */
  writeNow(raw: net.Socket, bytes: Uint8Array): number;
  /**
   * Offers each read to `take`, before the runtime's stream. The stream gets a read where `take` returns false or other
   * bytes wait in the stream, and it gets the end.
   */
  interceptReads(raw: net.Socket, take: (chunk: Uint8Array) => boolean): void;
  /** Destroys paused sockets whose connection broke. Null: the runtime notices that itself. */
  readonly watch: { add(raw: net.Socket): void; remove(raw: net.Socket): void } | null;
  /** See `tuneRuntime`. */
  tune(): void;
}
