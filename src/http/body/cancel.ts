/** Letting a body go that nobody will read. */
import type { Body } from "../message.ts";

/**
 * Tells the source of `body` that nobody will read it. Does nothing to a body that is no stream, or that somebody reads:
 * its reader is the one to cancel it.
 */
export function cancelBody(body: Body, reason: unknown): void {
  if (!(body instanceof ReadableStream) || body.locked) return;
  // A source that fails while it is told to stop has stopped.
  body.cancel(reason).catch(() => {});
}
