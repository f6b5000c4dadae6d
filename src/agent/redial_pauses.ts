/** When an agent dials again that has lost its link, or whose edge leaves: soon, and not at the same time as others. */

/** Milliseconds before each dial, plus or minus half. */
const PAUSES_MS = [0, 100, 250, 500, 1_000];

/**
 * Milliseconds to wait before a dial.
 *
 * @param attempt from 0 on
 * @param random returns a number from 0 up to 1
 */
export function redialPauseMs(attempt: number, random: () => number = Math.random): number {
  return Math.round(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] * (0.5 + random()));
}
