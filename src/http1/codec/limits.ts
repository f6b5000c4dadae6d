/** How large the parts of a message may be; a larger response is a 502. Bodies have no limit here. */
import { checkRange, OptionError } from "../../base/mod.ts";

export interface HttpLimits {
  /** Bytes of a request line, or of a status line, with its line end; more is a 414. Default 8,192. */
  readonly requestLineBytes: number;
  /** Bytes of a whole head, from the start line to the empty line; more is a 431. Default 65,536. */
  readonly headBytes: number;
  /** Fields of a head, and of a trailer section; more is a 431. Default 256. */
  readonly fieldCount: number;
  /** Bytes between a chunk's size and its CRLF; more is a 400. Default 256. */
  readonly chunkExtensionBytes: number;
  /** Bytes of a trailer section with its empty line; more is a 431. Default 8,192. */
  readonly trailerBytes: number;
}

export const defaultLimits: HttpLimits = Object.freeze({
  requestLineBytes: 8_192,
  headBytes: 65_536,
  fieldCount: 256,
  chunkExtensionBytes: 256,
  trailerBytes: 8_192,
});

/** With these values a minimal message (`GET / HTTP/1.1`, one Host) is still accepted. */
const minimums: HttpLimits = {
  requestLineBytes: 64,
  headBytes: 128,
  fieldCount: 1,
  chunkExtensionBytes: 0,
  trailerBytes: 2,
};

/** A head is in memory while it arrives. */
const MAX_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Completes `limits` with the defaults.
 *
 * @throws {OptionError} for a limit that is no integer, is too small for any message or above 16 MiB, and for a request
 *   line that may be longer than the head
 */
export function verifyLimits(limits: Partial<HttpLimits> = {}): HttpLimits {
  const complete: HttpLimits = { ...defaultLimits, ...limits };
  for (const name of Object.keys(minimums) as (keyof HttpLimits)[]) {
    checkRange(name, complete[name], minimums[name], MAX_LIMIT_BYTES);
  }
  if (complete.requestLineBytes > complete.headBytes) {
    throw new OptionError(
      `The option requestLineBytes is ${complete.requestLineBytes}, more than headBytes, ${complete.headBytes}`,
    );
  }
  return complete;
}
