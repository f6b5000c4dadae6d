/** Text of others (a visitor's path, an edge's message) on a terminal. It must not move the cursor or change colors. */

/** Control characters (C0, DEL and C1 of ECMA-48, also line feeds) as `\xNN`. The rest stays as it is. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** A path whose bytes beyond ASCII are Latin-1 characters, percent-encoded, so that each character takes one column. */
export function printablePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, (char) => {
    return `%${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}
