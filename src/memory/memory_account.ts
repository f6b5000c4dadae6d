/**
 * Bytes that are held for others: by each agent's connection for its streams, and by all of them and the visitors'
 * connections together:
 *
 *     account of the process      every byte; past its limit, the connection that holds most frees some
 *       ├─ account of an agent's connection
 *       ├─ account of an agent's connection     its own bytes; past its limit, it frees some
 *       └─ what visitors' connections hold: added by the HTTP server, which has limits of its own
 */
export class MemoryAccount {
  readonly limitBytes: number;
  readonly #parent: MemoryAccount | null;
  readonly #freeSome: () => boolean;
  readonly #children = new Set<MemoryAccount>();
  #heldBytes = 0;

  /**
   * @param limitBytes whole bytes
   * @param parent the process's account. Default: none.
   * @param freeSome frees some of what is held. Returns false where there is nothing to free. Default: there never is.
   */
  constructor(limitBytes: number, parent: MemoryAccount | null = null, freeSome: () => boolean = () => false) {
    this.limitBytes = limitBytes;
    this.#parent = parent;
    this.#freeSome = freeSome;
    if (parent !== null) parent.#children.add(this);
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Adds bytes that are held from now on. A negative number: bytes that are not held any more. */
  add(bytes: number): void {
    this.#heldBytes += bytes;
    this.#parent?.add(bytes);
  }

  /** Has memory freed while this account, or the one above it, holds more than its limit. */
  enforceLimit(): void {
    while (this.#heldBytes > this.limitBytes && this.#freeSome());
    if (this.#parent !== null) this.#parent.#enforceOnChildren();
  }

  /** Leaves the account above. To be called when nothing is held any more. */
  close(): void {
    if (this.#parent !== null) this.#parent.#children.delete(this);
  }

  #enforceOnChildren(): void {
    while (this.#heldBytes > this.limitBytes) {
      let largest: MemoryAccount | null = null;
      for (const child of this.#children) {
        if (largest === null || child.#heldBytes > largest.#heldBytes) largest = child;
      }
      if (largest === null || !largest.#freeSome()) return;
    }
  }
}
