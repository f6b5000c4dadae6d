/**
 * Bun's collector counts the bytes of a read until it has come by, although the lease on it gave them back long before
 * that (lease.ts). Since it comes for each 8 MB where little else is alive, bulk of 1 GB/s pays for a hundred
 * collections a second, which find next to nothing. How much it lets come grows with what is alive: so while bulk
 * passes, a buffer stands on the other side of the scales. Nobody touches it: it takes address space, and no memory.
 *
 * A download takes a tenth less processor time of edge and agent so (Bun 1.4.5); 256 MB do no better. It goes when the
 * bulk has gone: small requests, whose garbage is real, take a tenth longer beside it, since that much of it leaves the
 * processor's caches before the collector comes.
 */
import { type Clock, IdleTimer } from "../clock.ts";

const WEIGHT_BYTES = 64 * 1024 * 1024;
/** From here on it is bulk: so many bytes in no more than so many milliseconds, 200 MB/s. */
const STRETCH_BYTES = 32 * 1024 * 1024;
const STRETCH_MS = 160;
/** Without bulk for this time the weight goes: the collection that this takes must stay a rare one. */
const IDLE_MS = 5_000;

export class Counterweight {
  readonly #clock: Clock;
  readonly #collect: () => void;
  #weight: ArrayBuffer | null = null;
  #idle: IdleTimer | null = null;
  #bytes = 0;
  #begunAt: number;

  /** @param collect collects the whole heap, old objects, too: until then the weight counts though it is gone */
  constructor(clock: Clock, collect: () => void) {
    this.#clock = clock;
    this.#collect = collect;
    this.#begunAt = clock.now();
  }

  /** 0 while there is none. */
  get byteLength(): number {
    return this.#weight?.byteLength ?? 0;
  }

  /** To be told of bytes that were given back, and that the collector still counts. */
  gaveBack(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < STRETCH_BYTES) return;
    const now = this.#clock.now();
    const isBulk = now - this.#begunAt <= STRETCH_MS;
    this.#bytes = 0;
    this.#begunAt = now;
    if (!isBulk) return;
    if (this.#idle === null) this.#add();
    else this.#idle.touch();
  }

  #add(): void {
    try {
      this.#weight = new ArrayBuffer(WEIGHT_BYTES);
    } catch {
      // A process whose address space is limited that much does without.
    }
    this.#idle = new IdleTimer(this.#clock, IDLE_MS, () => this.#remove());
  }

  #remove(): void {
    this.#idle = null;
    if (this.#weight === null) return;
    this.#weight = null;
    this.#collect();
  }
}
