/**
 * The rules for a field of a header block, checked on its bytes. The decoder checks before it makes strings, the encoder
 * checks what it just wrote. So neither side can send what the other would refuse.
 *
 * The rules are those of RFC 9110 §5.1 and §5.5, and of RFC 9113 §8.2 and §8.3, except that names may have capitals. One
 * rule is added: the value of a pseudo-field holds no white space, so that it cannot end a word of a request line.
 * `:reason` may: it is the end of its line.
 */

/** Sets of characters, as bits. A text has the bits that all of its characters have. */
export const Alphabet = { TOKEN: 1, VALUE: 2, PSEUDO_VALUE: 4, DIGIT: 8, PSEUDO_NAME: 16 } as const;
const { TOKEN, VALUE, PSEUDO_VALUE, DIGIT, PSEUDO_NAME } = Alphabet;
/** All bits: those of an empty text. */
export const ALL_ALPHABETS = 31;

const SLASH = 0x2f;
const ASTERISK = 0x2a;
const DIGIT_0 = 0x30;
const DIGIT_1 = 0x31;

/** The alphabets of each byte. */
export const alphabets: Uint8Array = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte);
  if (/[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(char)) alphabets[byte]! |= TOKEN;
  if (/[!#$%&'*+.^_`|~0-9a-z-]/.test(char)) alphabets[byte]! |= PSEUDO_NAME;
  if (byte === 0x09 || (byte >= 0x20 && byte !== 0x7f)) alphabets[byte]! |= VALUE;
  if (byte > 0x20 && byte !== 0x7f) alphabets[byte]! |= PSEUDO_VALUE;
  if (/[0-9]/.test(char)) alphabets[byte]! |= DIGIT;
}

/**
 * Names that no block may hold, since they concern one hop alone. `host` becomes `:authority`, `upgrade` becomes
 * `:protocol`. All have different lengths, so that the length of a name tells which one to compare it with.
 */
const refusedByLength: readonly (Uint8Array | undefined)[] = namesByLength([
  "host",
  "upgrade",
  "connection",
  "transfer-encoding",
]);
const longestRefused = refusedByLength.length - 1;

function namesByLength(names: readonly string[]): (Uint8Array | undefined)[] {
  const table: (Uint8Array | undefined)[] = new Array(Math.max(...names.map(({ length }) => length)) + 1).fill(
    undefined,
  );
  for (const name of names) table[name.length] = new TextEncoder().encode(name);
  return table;
}

/** Whether the name from `start` to `end`, of an ordinary field, is one that no block may hold. */
export function isRefusedName(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length > longestRefused) return false;
  const refused = refusedByLength[length];
  return refused !== undefined && equalsIgnoringCase(bytes, start, refused);
}

const methodName = new TextEncoder().encode(":method");
const pathName = new TextEncoder().encode(":path");
const statusName = new TextEncoder().encode(":status");
const reasonName = new TextEncoder().encode(":reason");

/** What is wrong with an ordinary field, or null. The name stands at `nameStart`, the value at `valueStart`. */
export function fieldFault(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): string | null {
  if (nameStart === nameEnd) return "Field name is empty";
  if (!allIn(TOKEN, bytes, nameStart, nameEnd)) return `Field name ${quote(bytes, nameStart, nameEnd)} is no token`;
  if (isRefusedName(bytes, nameStart, nameEnd)) {
    return `Field ${quote(bytes, nameStart, nameEnd)} does not belong in a header block`;
  }
  if (!allIn(VALUE, bytes, valueStart, valueEnd)) {
    return `Value of field ${quote(bytes, nameStart, nameEnd)} has a control character`;
  }
  return null;
}

/** What is wrong with a pseudo-field, or null. The codec does not know which ones a message needs. */
export function pseudoFieldFault(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): string | null {
  if (nameEnd - nameStart < 2 || !allIn(PSEUDO_NAME, bytes, nameStart + 1, nameEnd)) {
    return `Pseudo-field name ${quote(bytes, nameStart, nameEnd)} is no lower-case token after its colon`;
  }
  let isValid = allIn(PSEUDO_VALUE, bytes, valueStart, valueEnd);
  const valueLength = valueEnd - valueStart;
  if (isName(methodName, bytes, nameStart, nameEnd)) {
    isValid = valueLength > 0 && allIn(TOKEN, bytes, valueStart, valueEnd);
  } else if (isName(statusName, bytes, nameStart, nameEnd)) {
    isValid = valueLength === 3 && allIn(DIGIT, bytes, valueStart, valueEnd);
  } else if (isName(reasonName, bytes, nameStart, nameEnd)) {
    isValid = allIn(VALUE, bytes, valueStart, valueEnd);
  } else if (isName(pathName, bytes, nameStart, nameEnd)) {
    isValid &&= bytes[valueStart] === SLASH ? valueLength > 0 : valueLength === 1 && bytes[valueStart] === ASTERISK;
  }
  return isValid
    ? null
    : `Value ${quote(bytes, valueStart, valueEnd)} is invalid for ${quote(bytes, nameStart, nameEnd)}`;
}

export function isStatusName(bytes: Uint8Array, start: number, end: number): boolean {
  return isName(statusName, bytes, start, end);
}

/** Whether the three digits say 100 to 199 without 101, which is a final answer (RFC 9110 §15.2.2). */
export function isInterimStatus(bytes: Uint8Array, start: number): boolean {
  const isUpgrade = bytes[start + 1] === DIGIT_0 && bytes[start + 2] === DIGIT_1;
  return bytes[start] === DIGIT_1 && !isUpgrade;
}

function allIn(alphabet: number, bytes: Uint8Array, start: number, end: number): boolean {
  let common = alphabet;
  for (let offset = start; offset < end; offset++) common &= alphabets[bytes[offset]!]!;
  return common !== 0;
}

function isName(expected: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== expected.length) return false;
  for (let index = 0; index < expected.length; index++) {
    if (bytes[start + index] !== expected[index]) return false;
  }
  return true;
}

/** @param lower an ASCII name in lower case. */
function equalsIgnoringCase(bytes: Uint8Array, start: number, lower: Uint8Array): boolean {
  for (let index = 0; index < lower.length; index++) {
    const byte = bytes[start + index]!;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== lower[index]) return false;
  }
  return true;
}

/** The bytes for an error message: printable, and short whatever a peer sent. */
function quote(bytes: Uint8Array, start: number, end: number): string {
  const text = String.fromCharCode(...bytes.subarray(start, Math.min(end, start + 64)));
  return JSON.stringify(end - start > 64 ? `${text}…` : text).replaceAll(/[\x7f-\x9f]/g, "?");
}
