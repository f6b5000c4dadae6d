// @ts-check
/** Bytes that look random and are the same every time, so that whoever receives them can know their hash. */

const blockBytes = 64 * 1024;

/**
 * The first `size` bytes of the sequence, in blocks of at most 64 KiB: xorshift32 (Marsaglia, 2003) from a fixed seed,
 * four bytes a step.
 * @param {number} size
 * @returns {Generator<Uint8Array, void>}
 */
export function* sequence(size) {
  let state = 0x9e3779b9;
  for (let left = size; left > 0; left -= blockBytes) {
    const words = new Uint32Array(blockBytes / 4);
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    yield new Uint8Array(words.buffer, 0, Math.min(left, blockBytes));
  }
}
