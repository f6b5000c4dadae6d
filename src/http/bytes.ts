/** The classes of bytes in RFC 9110 §5.6 and RFC 9112, as tables of 256 entries. */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
const DEL = 0x7f;

/** A table with 1 for each character of `characters`. */
export function byteTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1;
  return table;
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

export const digitBytes: Uint8Array = byteTable("0123456789");
export const hexBytes: Uint8Array = byteTable("0123456789abcdefABCDEF");

/** `tchar` (RFC 9110 §5.6.2): methods and field names. */
export const tokenBytes: Uint8Array = byteTable("!#$%&'*+-.^_`|~0123456789" + letters);

/** A request target's bytes: all but CTL and SP. An upstream may refuse those from 0x80. */
export const targetBytes: Uint8Array = Uint8Array.from(
  { length: 256 },
  (_, byte) => byte > SP && byte !== DEL ? 1 : 0,
);

/** A field value's bytes (RFC 9110 §5.5): those of a target, SP and HTAB. */
export const valueBytes: Uint8Array = targetBytes.slice();
valueBytes[SP] = 1;
valueBytes[HTAB] = 1;

/** True for the white space of HTTP (OWS, RFC 9110 §5.6.3). */
export function isSpaceOrTab(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

/** True where `text` is not empty and each of its characters is in `bytes`. */
export function consistsOf(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || bytes[code] === 0) return false;
  }
  return text.length > 0;
}
