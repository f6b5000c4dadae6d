/**
 * An intrusive doubly linked list: its nodes are the members themselves, so that a member can be removed from the
 * middle. Other than with a `Set`, adding and removing allocates nothing and hashes nothing.
 */

/** A member of at most one list at a time. The list alone writes these fields. */
export class ListNode<T extends ListNode<T>> {
  list: LinkedList<T> | null = null;
  previous: T | null = null;
  next: T | null = null;

  /** Removes itself from its list, if it is in one. */
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

  get last(): T | null {
    return this.#last;
  }

  /** Adds a member in front of `next`, which is in this list. It must not be in a list. */
  insertBefore(member: T, next: T): void {
    member.list = this;
    member.previous = next.previous;
    member.next = next;
    if (next.previous === null) this.#first = member;
    else next.previous.next = member;
    next.previous = member;
    this.#size++;
  }

  /** Adds a member at the end. It must not be in a list. */
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

  /** From first to last. During the iteration only the current member may be removed. */
  *[Symbol.iterator](): Iterator<T> {
    for (let member = this.#first; member !== null;) {
      const { next } = member;
      yield member;
      member = next;
    }
  }
}
