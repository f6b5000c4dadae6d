/**
 * How long a client is served that has sent FIN behind its whole request and may still read. A FIN alone does not tell
 * a program that waits for its answer (`nc -N`) from a browser that has left.
 */
import { type Fields, fieldValue, type RequestHead } from "../../http/mod.ts";
import type { HttpServerOptions } from "./options.ts";

/**
 * Milliseconds without a written byte for which the client is served, whatever the answer. 0: the FIN ends the exchange
 * at once.
 */
export function halfClosedMs(options: HttpServerOptions, scheme: RequestHead["scheme"]): number {
  return scheme === "https" ? options.halfClosedTlsMs : options.halfClosedMs;
}

/** The same for a streamed answer with these fields. */
export function halfClosedAnswerMs(options: HttpServerOptions, scheme: RequestHead["scheme"], fields: Fields): number {
  return options.isLive(fieldValue(fields, "content-type")) ? options.halfClosedLiveMs : halfClosedMs(options, scheme);
}
