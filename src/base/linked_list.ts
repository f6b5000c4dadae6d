/**
 * A doubly linked list whose nodes are the members themselves, so that a member can leave from the middle. Coming and
 * going allocates nothing and hashes nothing, as it would with a `Set`.
 */

/** A member of at most one list at a time. Only its list writes these fields. */
export class ListNode<T extends ListNode<T>> {
  list: LinkedList<T> | null = null;
  previous: T | null = null;
  next: T | null = null;

  /** Leaves its list, if it is in one. */
  unlink(): void {
    // T is the subclass itself, which TypeScript cannot express.
    this.list?.remove(this as unknown as T);
  }
}

export class LinkedList<T extends ListNode<T>> {
  #first: T | null = null;
  #last: T | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | null {
    return this.#first;
  }

  /** Adds a member at the end. It must be in no list. */
  append(member: T): void {
    member.list = this;
    member.previous = this.#last;
    if (this.#last === null) this.#first = member;
    else this.#last.next = member;
    this.#last = member;
    this.#size++;
  }

  /** Removes a member of this list. */
  remove(member: T): void {
    if (member.previous === null) this.#first = member.next;
    else member.previous.next = member.next;
    if (member.next === null) this.#last = member.previous;
    else member.next.previous = member.previous;
    member.list = member.previous = member.next = null;
    this.#size--;
  }

  clear(): void {
    while (this.#first !== null) this.remove(this.#first);
  }

  /** From first to last. The member just given may leave during the iteration; others must not. */
  *[Symbol.iterator](): Iterator<T> {
    for (let member = this.#first; member !== null;) {
      const { next } = member;
      yield member;
      member = next;
    }
  }
}
