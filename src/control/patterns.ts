/** Patterns of names, such as `pr-*`: a star at the end stands for any characters. */
import { nameFault } from "../config/mod.ts";

/** What is wrong with a pattern, as the end of a sentence; null where nothing is. */
export function patternFault(pattern: string): string | null {
  // Any name that it stands for begins so.
  const sample = pattern.endsWith("*") ? `${pattern.slice(0, -1)}x` : pattern;
  const fault = nameFault(sample);
  return fault === null ? null : `${fault}; a * may stand at its end`;
}

export function matchesPattern(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
