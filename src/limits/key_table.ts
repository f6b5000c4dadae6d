/**
 * What is kept by key, such as by visitor, in bounded memory: whoever asks from many addresses must not fill it. Entries
 * live in two generations, so that no timer and no list is needed to forget those that nobody asks for:
 *
 *     get ──▶ young ──▶ the key is new, and young is full ─▶ young becomes old, what was old is forgotten
 *      └────▶ old: the entry moves to young
 *
 * An entry that is in use is never forgotten.
 */

export interface TableEntry {
  /** True while it counts something that is under way. */
  readonly isInUse: boolean;
}

export class KeyTable<T extends TableEntry> {
  readonly #create: (now: number) => T;
  readonly #keepMs: number;
  readonly #generationSize: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  /** Keys that `young` takes before it becomes old. */
  #room: number;
  #bornAt = 0;

  /**
   * @param create makes the entry of a key that is not there
   * @param keepMs milliseconds behind which an entry that is not in use is like a new one
   * @param maxKeys entries at once that are not in use, 2 or more
   */
  constructor(create: (now: number) => T, keepMs: number, maxKeys: number) {
    this.#create = create;
    this.#keepMs = keepMs;
    this.#generationSize = this.#room = Math.max(1, Math.floor(maxKeys / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The entry of `key`, which is made where there is none. @param now milliseconds */
  get(key: string, now: number): T {
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    if (this.#room === 0 || now - this.#bornAt > this.#keepMs) this.#age(now);
    const earlier = this.#old.get(key);
    if (earlier !== undefined) this.#old.delete(key);
    const entry = earlier ?? this.#create(now);
    this.#young.set(key, entry);
    this.#room--;
    return entry;
  }

  #age(now: number): void {
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    for (const [key, entry] of forgotten) if (entry.isInUse) this.#young.set(key, entry);
    this.#room = this.#generationSize;
    this.#bornAt = now;
  }
}
