/** When an agent dials again that has lost its link, or whose edge leaves: soon, and not at the same time as others. */

/** Milliseconds before each dial, plus or minus half. The first one comes within the first of them. */
const PAUSES_MS = [100, 250, 500, 1_000];

/**
 * Milliseconds to wait before a dial.
 *
 * @param attempt from 0 on
 * @param random returns a number from 0 up to 1
 */
export function redialPauseMs(attempt: number, random: () => number = Math.random): number {
  // At once, but not in the very moment in which a thousand others lost the same edge.
  if (attempt === 0) return Math.round(PAUSES_MS[0] * random());
  return Math.round(PAUSES_MS[Math.min(attempt - 1, PAUSES_MS.length - 1)] * (0.5 + random()));
}
