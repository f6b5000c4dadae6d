/** Byte arrays as a whole. */

export const emptyBytes: Uint8Array = new Uint8Array(0);

/** The chunks in one new buffer. @param totalBytes the sum of their lengths */
export function concat(chunks: readonly Uint8Array[], totalBytes: number): Uint8Array {
  const whole = new Uint8Array(totalBytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
