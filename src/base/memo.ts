/**
 * A small cache for what is made of a text that comes again with nearly every request, such as a Host. Making it costs
 * several times as much as comparing the text with the last one in its slot, and leaves garbage.
 */

/** A power of two: more hosts than are busy at a time. */
const slotCount = 256;
/** The longest host with its port. Longer texts do not come again, and must not fill memory. */
const longestText = 259;

/** Holds at most 256 texts. Each text has one slot, and the last text of a slot stays. */
export class Memo<T> {
  readonly #make: (text: string) => T;
  readonly #texts: string[] = [];
  readonly #made: T[] = [];

  /** @param make pure. What it throws is passed on, and nothing is kept. */
  constructor(make: (text: string) => T) {
    this.#make = make;
  }

  get(text: string): T {
    const { length } = text;
    if (length === 0 || length > longestText) return this.#make(text);
    // Hosts of one edge differ in their first label, those of one upstream's clients in the port.
    const middle = text.charCodeAt(length >> 1);
    const slot = (length * 7 + text.charCodeAt(0) * 31 + middle * 57 + text.charCodeAt(length - 1) * 131) &
      (slotCount - 1);
    if (this.#texts[slot] === text) return this.#made[slot];
    const made = this.#make(text);
    this.#texts[slot] = text;
    return this.#made[slot] = made;
  }
}
