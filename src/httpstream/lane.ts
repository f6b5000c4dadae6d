/**
 * A queue from whose middle members leave, too: they are linked with each other, so that to come and to go costs no
 * allocation and no hash, as it would in a `Set`.
 */

/** A member's place, in one lane or none. */
export class Place<T> {
  readonly member: T;
  /** Written by the lane alone, as are its neighbours. */
  lane: Lane<T> | null = null;
  before: Place<T> | null = null;
  behind: Place<T> | null = null;

  constructor(member: T) {
    this.member = member;
  }

  /** Leaves its lane, if it is in one. */
  leave(): void {
    this.lane?.remove(this);
  }
}

export class Lane<T> {
  #first: Place<T> | null = null;
  #last: Place<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whose turn it is, or null. */
  get first(): T | null {
    return this.#first === null ? null : this.#first.member;
  }

  /** Stands at the end. The place must be free. */
  add(place: Place<T>): void {
    place.lane = this;
    place.before = this.#last;
    if (this.#last === null) this.#first = place;
    else this.#last.behind = place;
    this.#last = place;
    this.#size++;
  }

  /** Frees a place of this lane. */
  remove(place: Place<T>): void {
    if (place.before === null) this.#first = place.behind;
    else place.before.behind = place.behind;
    if (place.behind === null) this.#last = place.before;
    else place.behind.before = place.before;
    place.lane = place.before = place.behind = null;
    this.#size--;
  }

  clear(): void {
    while (this.#first !== null) this.remove(this.#first);
  }

  /** From first to last. The member that was just given may leave meanwhile, others may not. */
  *[Symbol.iterator](): Iterator<T> {
    for (let place = this.#first; place !== null;) {
      const { behind } = place;
      yield place.member;
      place = behind;
    }
  }
}
