/** What differs between the runtimes, beside what `node:net` hides. Each has one object, in a file of its own. */
import type * as net from "node:net";

export type RuntimeName = "bun" | "deno" | "node";

export interface Runtime {
  readonly name: RuntimeName;
  /** Stops reading `raw` at once. `raw.pause()` was called before. */
  pause(raw: net.Socket): void;
  /** Undoes `pause`. `raw.resume()` was called before. */
  resume(raw: net.Socket): void;
  /**
   * Writes past the runtime's stream, in whose queue nothing may wait. Returns how many bytes the kernel took; the rest
   * must be given to the stream, which also reports errors.
   */
  writeNow(raw: net.Socket, bytes: Uint8Array): number;
  /**
   * Offers what was read to `take` before it goes through the runtime's stream. Where `take` returns false, where bytes
   * wait in the stream, and for the end, the stream gets it as ever.
   */
  interceptReads(raw: net.Socket, take: (chunk: Uint8Array) => boolean): void;
  /** Looks after a socket that nobody reads, and destroys it when its connection broke. Null: the system tells of it. */
  readonly watch: { add(raw: net.Socket): void; remove(raw: net.Socket): void } | null;
  /** See `tuneRuntime`. */
  tune(): void;
}
