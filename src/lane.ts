/**
 * A queue from whose middle members leave, too: they are linked with each other, so that to come and to go costs no
 * allocation and no hash, as it would in a `Set`.
 */

/** What can stand in a lane, in one at a time. Its lane alone writes what is here. */
export class Linked<T extends Linked<T>> {
  lane: Lane<T> | null = null;
  before: T | null = null;
  behind: T | null = null;

  /** Leaves its lane, if it is in one. */
  leave(): void {
    // A class names itself as T, and so is what its lane holds.
    this.lane?.remove(this as unknown as T);
  }
}

export class Lane<T extends Linked<T>> {
  #first: T | null = null;
  #last: T | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whose turn it is, or null. */
  get first(): T | null {
    return this.#first;
  }

  /** Puts a member that is in no lane at the end. */
  add(member: T): void {
    member.lane = this;
    member.before = this.#last;
    if (this.#last === null) this.#first = member;
    else this.#last.behind = member;
    this.#last = member;
    this.#size++;
  }

  /** Takes a member of this lane out. */
  remove(member: T): void {
    if (member.before === null) this.#first = member.behind;
    else member.before.behind = member.behind;
    if (member.behind === null) this.#last = member.before;
    else member.behind.before = member.before;
    member.lane = member.before = member.behind = null;
    this.#size--;
  }

  clear(): void {
    while (this.#first !== null) this.remove(this.#first);
  }

  /** From first to last. The member that was just given may leave meanwhile, others may not. */
  *[Symbol.iterator](): Iterator<T> {
    for (let member = this.#first; member !== null;) {
      const { behind } = member;
      yield member;
      member = behind;
    }
  }
}
