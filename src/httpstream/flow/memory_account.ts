/** What a connection holds in memory for its streams, and what all connections of a process hold together. */

/**
 * A sum with a limit. Accounts of connections may have one of the process above them, which counts the same bytes for
 * all of them, and knows whose turn it is to give some back.
 */
export class MemoryAccount {
  readonly limitBytes: number;
  readonly #parent: MemoryAccount | null;
  readonly #relieve: () => boolean;
  readonly #children = new Set<MemoryAccount>();
  #heldBytes = 0;

  /**
   * @param limitBytes past it, `relieve()` makes room. Whole bytes.
   * @param parent the process's account.
   * @param relieve gives something back, and returns whether there was anything to give.
   */
  constructor(limitBytes: number, parent: MemoryAccount | null = null, relieve: () => boolean = () => false) {
    this.limitBytes = limitBytes;
    this.#parent = parent;
    this.#relieve = relieve;
    if (parent !== null) parent.#children.add(this);
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Adds bytes, or with a negative number gives them back. */
  add(bytes: number): void {
    this.#heldBytes += bytes;
    this.#parent?.add(bytes);
  }

  /** Makes room where too much is held: in this account, and above it in the one that holds most. */
  relieve(): void {
    while (this.#heldBytes > this.limitBytes && this.#relieve());
    if (this.#parent !== null) this.#parent.#relieveChildren();
  }

  /** The account is of no use any more, and holds nothing. */
  close(): void {
    if (this.#parent !== null) this.#parent.#children.delete(this);
  }

  #relieveChildren(): void {
    while (this.#heldBytes > this.limitBytes) {
      let largest: MemoryAccount | null = null;
      for (const child of this.#children) {
        if (largest === null || child.#heldBytes > largest.#heldBytes) largest = child;
      }
      if (largest === null || !largest.#relieve()) return;
    }
  }
}
