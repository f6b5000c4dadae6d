/** What error messages show of bytes and texts of the peer, and of errors of others. */

/** A byte: `"x"`, or `0x0a` where it is not visible. */
export function showByte(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? JSON.stringify(String.fromCharCode(byte))
    : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** A text: quoted, and cut to a line of a log. What is not visible ASCII is escaped as in JSON. */
export function showText(text: string): string {
  return escapeText(JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text));
}

/** The same text with all but visible ASCII and blanks as `\uNNNN`. */
export function escapeText(text: string): string {
  return text.replace(/[^\x20-\x7e…]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
