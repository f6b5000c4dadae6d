/**
 * Memory in which masking takes a fourth of the time: WebAssembly's, which has the vector instructions that JavaScript
 * lacks. Bytes that are copied anyhow, as into a client's frames, are copied there. A download through an agent on Deno costs
 * 4 % less with it, through one on Bun 1 %.
 */

/** Masks `[at, end)`, not empty, `VECTOR_STEP_BYTES` at a time. The lowest byte of `word` is the key's first. */
export type VectorMask = (at: number, end: number, word: number) => void;

export const VECTOR_STEP_BYTES = 64;
const WASM_PAGE_BYTES = 64 * 1024;

/**
 *     (module
 *       (import "m" "m" (memory 0))
 *       (func (export "f") (param $at i32) (param $end i32) (param $word i32) (local $key v128)
 *         (local.set $key (i32x4.splat (local.get $word)))
 *         (loop
 *           (v128.store offset=0 (local.get $at) (v128.xor (v128.load offset=0 (local.get $at)) (local.get $key)))
 *           ;; and with the offsets 16, 32 and 48
 *           (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end))))))
 */
const MODULE_HEX = "0061736d01000000" + // version 1
  "0107" + "0160037f7f7f00" + // types
  "0208" + "01016d016d020000" + // imports
  "0302" + "0100" + // functions
  "0705" + "0101660000" + // exports
  "0a5c" + "015a01017b" + // code: one local
  "2002fd112103" + "0340" + // the key, and the loop
  "20002000fd0000002003fd51fd0b0000" + "20002000fd0000102003fd51fd0b0010" +
  "20002000fd0000202003fd51fd0b0020" + "20002000fd0000302003fd51fd0b0030" +
  "200041c0006a22002001490d00" + "0b0b";

const masks = new WeakMap<ArrayBufferLike, VectorMask>();
let compiled: WebAssembly.Module | null = null;

/** What masks in `buffer`, where it is the memory of `allocateMaskMemory`. */
export function vectorMaskOf(buffer: ArrayBufferLike): VectorMask | undefined {
  return masks.get(buffer);
}

/**
 * `length` zeroes or some more, never moved. Common memory where the runtime has no other: without a compiler, or
 * without address space, of which such a memory takes some GB with its guards.
 */
export function allocateMaskMemory(length: number): Uint8Array {
  try {
    const pages = Math.ceil(length / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    compiled ??= new WebAssembly.Module(moduleBytes());
    const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
    masks.set(memory.buffer, exports.f as VectorMask);
    return new Uint8Array(memory.buffer);
  } catch {
    return new Uint8Array(length);
  }
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: MODULE_HEX.length / 2 }, (_, i) => parseInt(MODULE_HEX.slice(2 * i, 2 * i + 2), 16));
}
