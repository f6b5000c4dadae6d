/**
 * Streams by their ids: an open-addressing hash table with linear probing, in one array. A `Map` from which members come
 * and go by the thousand keeps the garbage collector of both runtimes busy. It moves to a new table every few dozen
 * members, and the old table links to the new one, for the sake of iterators. Once one old table has reached the old
 * generation, everything that later tables linked to is kept until a collection of the whole heap.
 *
 * With a `Map`, nine tenths of all streams outlived the collections of the young generation (here 4 %), and every other
 * collection was one of the whole heap (Bun 1.4.5). An exchange cost 15 % more processor time; on Deno 20 %.
 */

const LEAST_SLOTS = 16;

/** At most half of the slots are taken: a search that finds nothing looks at two or three. */
export class IdTable<T extends { readonly id: number }> {
  #slots: (T | null)[] = emptySlots(LEAST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | null {
    return this.#slots[this.#slotOf(id)];
  }

  /** Adds a member. No other one may have its id. */
  add(member: T): void {
    if (2 * ++this.#size > this.#slots.length) this.#resize(2 * this.#slots.length);
    this.#slots[this.#slotOf(member.id)] = member;
  }

  /** Removes the member, if there is one. */
  delete(id: number): void {
    let gap = this.#slotOf(id);
    if (this.#slots[gap] === null) return;
    this.#size--;
    const slots = this.#slots;
    const mask = slots.length - 1;
    // Members behind the gap that a search would miss move into it (backward shift), so that no tombstones are needed.
    for (let at = (gap + 1) & mask; slots[at] !== null; at = (at + 1) & mask) {
      const fromHome = (at - homeOf(slots[at]!.id, mask)) & mask;
      if (fromHome < ((at - gap) & mask)) continue;
      slots[gap] = slots[at];
      gap = at;
    }
    slots[gap] = null;
    if (slots.length > LEAST_SLOTS && 8 * this.#size < slots.length) this.#resize(slots.length / 2);
  }

  /** The present members, in a new array: the table may change while it is used. */
  values(): T[] {
    return this.#slots.filter((member) => member !== null);
  }

  /** Where the member is, or the empty slot where it would be. */
  #slotOf(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = homeOf(id, mask);
    while (slots[at] !== null && slots[at]!.id !== id) at = (at + 1) & mask;
    return at;
  }

  #resize(slotCount: number): void {
    const members = this.values();
    this.#slots = emptySlots(slotCount);
    for (const member of members) this.#slots[this.#slotOf(member.id)] = member;
  }
}

/** The hash. Ids of one side are every second number, so that halves of consecutive ids fill neighboring slots. */
function homeOf(id: number, mask: number): number {
  return (id >>> 1) & mask;
}

function emptySlots<T>(slotCount: number): (T | null)[] {
  return new Array<T | null>(slotCount).fill(null);
}
