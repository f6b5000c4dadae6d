/** Paths of others on a terminal. Other text is made printable where it is printed (src/base/printable.ts). */

/** A path whose bytes beyond ASCII are Latin-1 characters, percent-encoded, so that each character takes one column. */
export function printablePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, (char) => {
    return `%${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}
