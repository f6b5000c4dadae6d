// @ts-check
/**
 * Writes tar archives in the ustar form (POSIX.1-1988, pax(1) "ustar Interchange Format"). Equal entries give equal
 * bytes on every machine: owners are 0, and the caller says the time.
 */

/**
 * @typedef {{ path: string, mode: number, data: Uint8Array }} Entry A file: `path` relative, with `/`, at most 100
 *   bytes; `mode` such as 0o755.
 */

const blockBytes = 512;
/** The largest size that 11 octal digits hold. */
const maxFileBytes = 8 ** 11 - 1;

/**
 * The archive of `entries`, in their order, piece by piece.
 * @param {Iterable<Entry>} entries
 * @param {number} seconds the time of every entry, in seconds since 1970
 * @returns {Generator<Uint8Array, void>}
 */
export function* tarOf(entries, seconds) {
  for (const entry of entries) {
    yield header(entry, seconds);
    yield entry.data;
    yield new Uint8Array(-entry.data.length & (blockBytes - 1));
  }
  // Two empty blocks end an archive.
  yield new Uint8Array(2 * blockBytes);
}

/** @param {Entry} entry @param {number} seconds */
function header({ path, mode, data }, seconds) {
  const block = Buffer.alloc(blockBytes);
  if (Buffer.byteLength(path) > 100) throw new Error(`the path is too long for a ustar header: ${path}`);
  if (data.length > maxFileBytes) throw new Error(`the file is too large for a ustar header: ${path}`);
  /** @param {number} at @param {number} width @param {number} value */
  const octal = (at, width, value) => block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(path, 0);
  octal(100, 8, mode);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, data.length);
  octal(136, 12, seconds);
  block.write("0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  octal(329, 8, 0);
  octal(337, 8, 0);
  // The checksum is that of the block with spaces in its place.
  block.fill(" ", 148, 156);
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
