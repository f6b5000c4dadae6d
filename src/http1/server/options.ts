/** What a server of HTTP/1.1 can be told, and what it does when it is not. */
import { checkRange, type Clock, OptionError, systemClock } from "../../base/mod.ts";
import type { Socket } from "../../net/mod.ts";
import { type HttpLimits, reasonPhrase, verifyLimits } from "../codec/mod.ts";
import type { Answer, RequestHead } from "../../http/mod.ts";

export interface HttpServerOptions {
  /** Milliseconds for a head: from the accepted socket for the first one, then from its first byte. Default 10,000. */
  headTimeoutMs: number;
  /** Milliseconds a connection may wait for its next request, or for the client's FIN after ours. Default 75,000. */
  keepAliveMs: number;
  /** Milliseconds without a byte of a request body that the handler waits for. Default 60,000. */
  bodyIdleMs: number;
  /** Milliseconds to discard the rest of a request that was answered early, before the reset. Default 5,000. */
  lingerMs: number;
  /** Bytes that are discarded so at most. Default 16 MiB. */
  lingerBytes: number;
  /** Connections at once; one more is reset as it comes. Default 65,536. */
  maxConnections: number;
  /** Bytes of further requests that are read while one is served; then the socket rests. Default 64 KiB. */
  pipelineBytes: number;
  /** Serves a client on although it sent FIN behind its request. Default false: that cancels, as in nginx. */
  allowHalfOpenClients: boolean;
  /** How requests reach the public address of this server. Default `http`. */
  scheme: "http" | "https";
  limits: HttpLimits;
  clock: Clock;
  /** A new id for each exchange. Default: a random prefix for the server, then a count. */
  nextId: () => string;
  /** The client's address as believed. Default: the socket's; `""` for unix sockets. */
  clientOf: (socket: Socket) => string;
  /**
   * The answer where a handler gave none, or where a request could not be read (`head` is then `null`): plain text
   * with the error's `status`, else 500, unless told otherwise. Its body is bytes or `null`.
   */
  errorAnswer: (error: unknown, head: RequestHead | null) => Answer;
  /**
   * Told, for logs, of each handler that rejected, answer that broke off and callback that threw. Clients that leave
   * or send nonsense are not reported. Default: nothing.
   */
  onError: (error: unknown) => void;
}

/** What of the options is not to be the default. */
export type HttpServerInit = Partial<Omit<HttpServerOptions, "limits">> & { readonly limits?: Partial<HttpLimits> };

/** The greatest delay that timers of both runtimes take. */
const mostMilliseconds = 2 ** 31 - 1;

const ranges: { readonly [name in keyof HttpServerOptions]?: readonly [least: number, most: number] } = {
  headTimeoutMs: [1, mostMilliseconds],
  keepAliveMs: [1, mostMilliseconds],
  bodyIdleMs: [1, mostMilliseconds],
  lingerMs: [1, mostMilliseconds],
  lingerBytes: [0, Number.MAX_SAFE_INTEGER],
  maxConnections: [1, Number.MAX_SAFE_INTEGER],
  pipelineBytes: [1, Number.MAX_SAFE_INTEGER],
};

/**
 * Completes `options` with the defaults.
 *
 * @throws {OptionError} for a number out of its range, an unknown scheme, limits under which nothing could be read
 */
export function verifyServerOptions(options: HttpServerInit = {}): HttpServerOptions {
  const complete: HttpServerOptions = {
    headTimeoutMs: 10_000,
    keepAliveMs: 75_000,
    bodyIdleMs: 60_000,
    lingerMs: 5_000,
    lingerBytes: 16 * 1024 * 1024,
    maxConnections: 65_536,
    pipelineBytes: 64 * 1024,
    allowHalfOpenClients: false,
    scheme: "http",
    clock: systemClock,
    nextId: countingIds(),
    clientOf: (socket) => socket.remote.kind === "unix" ? "" : socket.remote.host,
    errorAnswer: plainErrorAnswer,
    onError: () => {},
    ...options,
    limits: verifyLimits(options.limits),
  };
  for (const [name, range] of Object.entries(ranges)) {
    checkRange(name, complete[name as keyof HttpServerOptions] as number, ...range);
  }
  if (complete.scheme !== "http" && complete.scheme !== "https") {
    throw new OptionError(`scheme is ${JSON.stringify(complete.scheme)}, not "http" or "https"`);
  }
  return complete;
}

function countingIds(): () => string {
  const prefix = crypto.randomUUID().slice(0, 8);
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}

const encoder = new TextEncoder();

/** `text/plain`: the status as words, and no more, since an error's own words are not for everyone. */
function plainErrorAnswer(error: unknown): Answer {
  const hint = (error as { status?: unknown } | null)?.status;
  const status = typeof hint === "number" && Number.isInteger(hint) && hint >= 400 && hint <= 599 ? hint : 500;
  return {
    status,
    fields: ["Content-Type", "text/plain; charset=utf-8"],
    body: encoder.encode(`${status} ${reasonPhrase(status)}\n`),
  };
}
