/** The addresses of `edge serve --listen`, and what is spoken there. */
import { formatAddress, type ListenTarget, parseListenTarget, readHostPort } from "../net/mod.ts";

export interface ListenAddress {
  readonly target: ListenTarget;
  /** `https`: TLS. `http`: plain, beside TLS for visitors who are sent there. Null: plain, as no scheme was written. */
  readonly scheme: "http" | "https" | null;
}

/** The port of an address without a scheme where it names none. */
export const DEFAULT_LISTEN_PORT = 8080;
const DEFAULT_TLS_PORT = 443;

/**
 * Reads `[http://|https://]HOST:PORT`, and the other forms of `parseListenTarget` behind a scheme or without one.
 *
 * @throws {Error} for a URL without a port, which has another default than the option; what `parseListenTarget` throws
 */
export function parseListenAddress(text: string): ListenAddress {
  const [, word, rest] = /^(https?):\/\/(.*?)\/?$/i.exec(text) ?? [];
  if (word === undefined || rest === undefined) {
    return { target: parseListenTarget(text, DEFAULT_LISTEN_PORT), scheme: null };
  }
  const scheme = word.toLowerCase() as "http" | "https";
  const read = readHostPort(rest);
  if ("host" in read && read.port === null) {
    const port = scheme === "http" ? DEFAULT_LISTEN_PORT : DEFAULT_TLS_PORT;
    const complete = formatAddress({ kind: "tcp", host: read.host, port });
    throw new Error(`names no port: write ${scheme}://${complete}, or another port`);
  }
  return { target: parseListenTarget(rest), scheme };
}
