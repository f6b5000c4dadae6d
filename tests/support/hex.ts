/** Bytes as text and back. */

/** Lower-case digits without spaces. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** White space is ignored; anything else that is no pair of hexadecimal digits throws. */
export function unhex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new TypeError(`${JSON.stringify(text)} is no row of hexadecimal pairs`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
