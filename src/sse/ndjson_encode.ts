/** Writes NDJSON: one JSON text a line, which is also called JSON Lines. */

/**
 * @param json one JSON text, as `JSON.stringify` makes it
 * @throws {TypeError} where it has a line break
 */
export function ndjsonLine(json: string): string {
  if (/[\r\n]/.test(json)) throw new TypeError("A line of NDJSON has a line break");
  return `${json}\n`;
}
