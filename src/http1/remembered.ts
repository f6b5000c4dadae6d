/**
 * What was made of a text, for texts that come again with nearly every request: a Host. To work it out costs several
 * times as much as to compare the text with the one before, and leaves garbage.
 */

/** A power of two: more hosts than are busy at a time. */
const slotCount = 256;
/** The longest host, with its port. Longer texts do not come again, and nobody may fill memory with them. */
const longestText = 259;

/** At most 256 texts are held: each has one slot, and whichever text of a slot came last stays. */
export class Remembered<T> {
  readonly #make: (text: string) => T;
  readonly #texts: string[] = [];
  readonly #made: T[] = [];

  /** @param make pure; what it throws is thrown on, and made anew each time */
  constructor(make: (text: string) => T) {
    this.#make = make;
  }

  of(text: string): T {
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
