/** What error messages show of bytes and texts of the peer, and of errors of others. */

/** A byte: `"x"`, or `0x0a` where it is not visible. */
export function showByte(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? JSON.stringify(String.fromCharCode(byte))
    : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** A text: quoted, and cut to a line of a log. */
export function showText(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
