/**
 * Small pieces that wait. A piece of one byte costs a view and an entry in a list, some 200 bytes in all: a queue that
 * is bounded by its bytes alone could hold a hundred times as much. So a queue with many pieces has small neighbors
 * copied together, and counts what the others cost.
 */
import { concat } from "./bytes.ts";
import { release } from "./ref_counted.ts";

/**
 * What a piece costs beside its bytes: the view, its buffer, its entry. 200,000 of one byte, each with a buffer of its own,
 * take 130 bytes each on Bun 1.4.5, and 640 on Deno 2.9.6. This lies between, and queues have few loose pieces.
 */
export const PIECE_OVERHEAD_BYTES = 256;
/** Smaller pieces are worth the copy. */
const SMALL_PIECE_BYTES = 4 * 1024;
/** No joined piece is larger, so that its buffer is freed soon after its first bytes have left. */
const JOINED_BYTES = 16 * 1024;
/** A queue may have so many pieces before it is compacted: fewer cost little, and most queues never have as many. */
export const MAX_LOOSE_PIECES = 64;

function isSmallPiece(piece: Uint8Array): boolean {
  return piece.length < SMALL_PIECE_BYTES;
}

/**
 * The same bytes in fewer pieces: neighbors under 4 KiB are copied into pieces of at most 16 KiB. Takes over the
 * references of `pieces` from `first` on, and gives one for each piece that it returns.
 */
export function compactPieces(pieces: readonly Uint8Array[], first = 0): Uint8Array[] {
  const compact: Uint8Array[] = [];
  for (let from = first; from < pieces.length;) {
    let to = from;
    let bytes = 0;
    while (to < pieces.length && isSmallPiece(pieces[to]) && bytes + pieces[to].length <= JOINED_BYTES) {
      bytes += pieces[to++].length;
    }
    if (to <= from + 1) compact.push(pieces[from++]);
    else {
      const run = pieces.slice(from, to);
      compact.push(concat(run, bytes));
      for (const piece of run) release(piece);
      from = to;
    }
  }
  return compact;
}
