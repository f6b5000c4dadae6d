/** The peer's bytes and texts, made fit for an error message. */

/** A byte as an error message shows it: `"x"`, or `0x0a` where it cannot be seen. */
export function showByte(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? JSON.stringify(String.fromCharCode(byte))
    : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** Text of the peer's for an error message: quoted, and no longer than a line of a log. */
export function showText(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
