/** Cancels bodies that will not be read. */
import type { Body } from "../message.ts";

/**
 * Tells the source of `body` that it will not be read. Does nothing where `body` is no stream, or has a reader already:
 * then the reader has to cancel it.
 */
export function cancelBody(body: Body, reason: unknown): void {
  if (!(body instanceof ReadableStream) || body.locked) return;
  // A source that fails while it is being canceled has stopped, too.
  body.cancel(reason).catch(() => {});
}
