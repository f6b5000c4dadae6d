/** Suggestions for mistyped words. */

/**
 * `; did you mean --name?`, for the end of an error's sentence; empty where none of `words` is close to `word`.
 *
 * @param prefix stands before the word that is meant, such as `--`
 */
export function didYouMean(word: string, words: readonly string[], prefix = ""): string {
  const near = nearest(word, words);
  return near === null ? "" : `; did you mean ${prefix}${near}?`;
}

/**
 * The one of `words` that is closest to `word`, by the letters that would have to change. A word that begins with
 * `word` counts as one letter away.
 *
 * @returns null where more than a third of the letters would have to change
 */
export function nearest(word: string, words: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const isBeginning = word.length > 1 && candidate.startsWith(word);
    const distance = Math.min(editDistance(word, candidate), isBeginning ? 1 : Infinity);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** How many letters to add, drop, change or swap with the next one (optimal string alignment distance). */
function editDistance(from: string, to: string): number {
  let older: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swap = isSwap ? older[j - 2]! + 1 : Infinity;
      next.push(Math.min(change, swap, row[j]! + 1, next[j - 1]! + 1));
    }
    older = row;
    row = next;
  }
  return row[to.length]!;
}
