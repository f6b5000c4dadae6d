/**
 * A small cache for what is computed from a text that nearly every request repeats, such as a Host. Computing it takes
 * several times as long as comparing the text with the one in its slot, and makes garbage.
 */

/** A power of two: more hosts than are busy at a time. */
const SLOT_COUNT = 256;
/** The longest host with its port. Longer texts are rarely repeated, and must not fill memory. */
const MAX_TEXT_LENGTH = 259;

/** Direct-mapped: each text has one of 256 slots, and a new text replaces the one in its slot. */
export class Memo<T> {
  readonly #make: (text: string) => T;
  readonly #texts: string[] = [];
  readonly #made: T[] = [];

  /** @param make must be pure. What it throws is passed on, and not cached. */
  constructor(make: (text: string) => T) {
    this.#make = make;
  }

  get(text: string): T {
    const { length } = text;
    if (length === 0 || length > MAX_TEXT_LENGTH) return this.#make(text);
    // Hosts of one edge differ in their first label, those of one upstream in the port.
    const middle = text.charCodeAt(length >> 1);
    const slot = (length * 7 + text.charCodeAt(0) * 31 + middle * 57 + text.charCodeAt(length - 1) * 131) &
      (SLOT_COUNT - 1);
    if (this.#texts[slot] === text) return this.#made[slot];
    const made = this.#make(text);
    this.#texts[slot] = text;
    return this.#made[slot] = made;
  }
}
