/**
 * Memory in which masking takes a fourth of the time: WebAssembly's, which has the vector instructions that JavaScript
 * lacks. Bytes that are copied anyhow, as into a client's frames, are copied there. A download through an agent on Deno costs
 * 4 % less with it, through one on Bun 1 %.
 */

/**
 * Masks `[from, end)`, not empty, `VECTOR_STEP_BYTES` at a time, and writes it at `to`, which may be `from`. The lowest
 * byte of `word` is the key's first.
 */
export type VectorMask = (to: number, from: number, end: number, word: number) => void;

export const VECTOR_STEP_BYTES = 64;
const WASM_PAGE_BYTES = 64 * 1024;

/**
 *     (module
 *       (import "m" "m" (memory 0))
 *       (func (export "f") (param $to i32) (param $from i32) (param $end i32) (param $word i32) (local $key v128)
 *         (local.set $key (i32x4.splat (local.get $word)))
 *         (loop
 *           (v128.store offset=0 (local.get $to) (v128.xor (v128.load offset=0 (local.get $from)) (local.get $key)))
 *           ;; and with the offsets 16, 32 and 48
 *           (local.set $to (i32.add (local.get $to) (i32.const 64)))
 *           (br_if 0 (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 64))) (local.get $end))))))
 */
const MODULE_HEX = "0061736d01000000" + // version 1
  "0108" + "0160047f7f7f7f00" + // types
  "0208" + "01016d016d020000" + // imports
  "0302" + "0100" + // functions
  "0705" + "0101660000" + // exports
  "0a64" + "016201017b" + // code: one local
  "2003fd112104" + "0340" + // the key, and the loop
  "20002001fd0000002004fd51fd0b0000" + "20002001fd0000102004fd51fd0b0010" +
  "20002001fd0000202004fd51fd0b0020" + "20002001fd0000302004fd51fd0b0030" +
  "200041c0006a2100" + "200141c0006a2201" + "2002490d00" + "0b0b";

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
