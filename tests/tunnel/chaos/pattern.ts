/** Bytes that follow from their offset alone, so that whoever receives some can check them without those before. */
import { Buffer } from "node:buffer";
import { SeededRandom } from "../../support/seeded_random.ts";

/** A prime: blocks of any usual size that are lost, doubled or moved are not where the table repeats itself. */
const PERIOD = 1_000_003;
export const BLOCK_BYTES = 64 * 1024;

const table = Buffer.alloc(PERIOD + BLOCK_BYTES);
const random = new SeededRandom(1);
for (let index = 0; index < PERIOD; index++) table[index] = random.next() * 256;
table.copy(table, PERIOD, 0, BLOCK_BYTES);

/** One stream's bytes: those of other seeds differ from them. */
export class Pattern {
  readonly #shift: number;

  constructor(seed: number) {
    // Spread over the period, so that neighbouring seeds are far from each other.
    this.#shift = (seed * 7_919) % PERIOD;
  }

  /** The bytes from `offset` on, at most a block; to be read only. */
  at(offset: number, length: number): Uint8Array {
    const from = (offset + this.#shift) % PERIOD;
    return table.subarray(from, from + Math.min(length, BLOCK_BYTES));
  }

  /** @throws where `bytes` are not those from `offset` on */
  check(bytes: Uint8Array, offset: number, what: string): void {
    for (let done = 0; done < bytes.length; done += BLOCK_BYTES) {
      const part = bytes.subarray(done, done + BLOCK_BYTES);
      const expected = this.at(offset + done, part.length);
      if (Buffer.compare(part, expected) !== 0) throw new Error(this.#difference(part, offset + done, what));
    }
  }

  #difference(part: Uint8Array, offset: number, what: string): string {
    const expected = this.at(offset, part.length);
    const wrong = part.findIndex((byte, index) => byte !== expected[index]);
    const rest = part.subarray(wrong, wrong + 32);
    const found = rest.length < 16 ? -1 : table.indexOf(rest);
    const place = found < 0
      ? ""
      : `; its bytes belong to offset ${(found - this.#shift + PERIOD) % PERIOD} mod ${PERIOD}`;
    return `${what}: a wrong byte at offset ${offset + wrong}${place}`;
  }
}
