/** What of the C library is called, as each runtime declares it. */

/** Each returns 0, or -1 where the system refuses. */
export interface Libc {
  /** @param value as in C: an `int` is an `Int32Array` of one */
  setsockopt(fd: number, level: number, option: number, value: Int32Array, lengthBytes: number): number;
  /** @param lengthBytes how long `value` is; then how much of it was written */
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, lengthBytes: Uint32Array): number;
  /** @param limits the soft and the hard limit */
  getrlimit(resource: number, limits: BigUint64Array): number;
  close(fd: number): number;
}

/** Parameters and results: `i32` and `u32` by value, `pointer` to the memory of a typed array. */
export const libcSignatures = {
  setsockopt: ["i32", "i32", "i32", "pointer", "u32"],
  getsockopt: ["i32", "i32", "i32", "pointer", "pointer"],
  getrlimit: ["i32", "pointer"],
  close: ["i32"],
} as const;
