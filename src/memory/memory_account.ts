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

  /** True where this account and those above it can hold so many bytes more. */
  hasRoom(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.limitBytes && (this.#parent === null || this.#parent.hasRoom(bytes));
  }

  /** Adds bytes where there is room for them. Returns false, and adds nothing, where there is none. */
  reserve(bytes: number): boolean {
    const isFitting = this.hasRoom(bytes);
    if (isFitting) this.add(bytes);
    return isFitting;
  }

  /** Has memory freed while this account, or the one above it, holds more than its limit. */
  enforceLimit(): void {
    while (this.#heldBytes > this.limitBytes && this.#freeSome());
    if (this.#parent !== null) this.#parent.#enforceOnChildren();
  }

  /** Is not asked to free memory any more. What is still held counts in the account above until it is given back. */
  close(): void {
    if (this.#parent !== null) this.#parent.#children.delete(this);
  }

  #enforceOnChildren(): void {
    while (this.#heldBytes > this.limitBytes && this.#freeInChildren());
  }

  /** Those that hold most come first. One may hold nothing that it can free. */
  #freeInChildren(): boolean {
    const children = [...this.#children].sort((a, b) => b.#heldBytes - a.#heldBytes);
    return children.some((child) => child.#freeSome());
  }
}
