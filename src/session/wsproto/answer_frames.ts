/** What waits at an agent while the link takes nothing: of each answer one frame, or one chunk of its body. */
import { release } from "../../memory/mod.ts";
import { encodeChunkFrame } from "./chunk_frame.ts";
import type { JsonLink } from "./link.ts";
import { WaitingFrame } from "./link_queue.ts";

/** The most bytes of a body in one frame, so that a long chunk does not hold up the other answers. */
export const MAX_CHUNK_BYTES = 192 * 1024;

/** An answer's head, with its body where that is short. */
export class WaitingAnswer extends WaitingFrame {
  readonly #length: number;
  readonly #write: () => boolean;
  #isSent = false;

  /** @param write sends it, and returns what the link's send returned */
  constructor(length: number, write: () => boolean) {
    super();
    this.#length = length;
    this.#write = write;
  }

  get byteLength(): number {
    return this.#isSent ? 0 : this.#length;
  }

  get heldBytes(): number {
    return this.byteLength;
  }

  send(): boolean {
    this.#isSent = true;
    return this.#write();
  }
}

/** A chunk of an answer's body. */
export class WaitingChunk extends WaitingFrame {
  readonly #link: Pick<JsonLink, "sendTextBytes">;
  readonly #id: string;
  readonly #chunk: Uint8Array;
  readonly #onSent: () => void;
  #at = 0;

  /**
   * @param chunk whose reference it takes over (src/memory)
   * @param onSent called when all of it was sent
   */
  constructor(link: Pick<JsonLink, "sendTextBytes">, id: string, chunk: Uint8Array, onSent: () => void) {
    super();
    this.#link = link;
    this.#id = id;
    this.#chunk = chunk;
    this.#onSent = onSent;
  }

  get byteLength(): number {
    return Math.min(this.heldBytes, MAX_CHUNK_BYTES);
  }

  get heldBytes(): number {
    return this.#chunk.length - this.#at;
  }

  send(): boolean {
    const end = this.#at + this.byteLength;
    const isWritable = this.#link.sendTextBytes(encodeChunkFrame(this.#id, this.#chunk.subarray(this.#at, end)));
    this.#at = end;
    if (this.heldBytes === 0) {
      this.#free();
      this.#onSent();
    }
    return isWritable;
  }

  /** Drops what was not sent. Does nothing where all was. */
  drop(): void {
    if (this.heldBytes === 0) return;
    this.unlink();
    this.#free();
  }

  #free(): void {
    release(this.#chunk);
    // A chunk whose memory is freed has no bytes.
    this.#at = this.#chunk.length;
  }
}
