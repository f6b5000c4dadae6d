/** Text of others (a visitor's path, an edge's message) on a terminal: it must not move the cursor or change colours. */

/** C0, DEL and C1 controls (ECMA-48), line feeds among them, as `\xNN`; everything else as it is. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** A request's path, whose bytes beyond ASCII are Latin-1 characters, percent-encoded: one column a character. */
export function printablePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, (char) => {
    return `%${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}
