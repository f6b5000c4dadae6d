/**
 * Bytes that all connections of the process have sent and keep for those that may come back. Each of them is bounded by
 * what it may have in flight; many that acknowledge nothing would hold gigabytes together.
 */

/** Past this, each connection has no more in flight than on the slowest path. */
const PRESSED_BYTES = 256 * 1_024 * 1_024;
/** What that is: the least limit of src/httpstream/flow/rate_estimator.ts. */
const PRESSED_LIMIT_BYTES = 64 * 1_024;

export const keptBytes = {
  /** Of the whole process. */
  all: 0,
  /** What may be in flight of a connection whose path allows `limitBytes`. */
  limit(limitBytes: number): number {
    return this.all > PRESSED_BYTES ? Math.min(limitBytes, PRESSED_LIMIT_BYTES) : limitBytes;
  },
};
