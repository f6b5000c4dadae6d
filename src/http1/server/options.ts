/** The options of the server, with their defaults and checks. */
import { checkRange, type Clock, OptionError, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  type Fields,
  isLiveFormat,
  reasonPhrase,
  type RequestHead,
  type Visitor,
} from "../../http/mod.ts";
import type { MemoryAccount } from "../../memory/mod.ts";
import type { Socket } from "../../net/mod.ts";
import { type HttpLimits, verifyLimits } from "../codec/mod.ts";

export interface HttpServerOptions {
  /** Milliseconds for a head: the first one from the accepted socket, others from their first byte. Default 10,000. */
  headTimeoutMs: number;
  /** Milliseconds until an idle connection is closed, or one that waits for the client's FIN. Default 75,000. */
  keepAliveMs: number;
  /** Milliseconds without a byte of a request's body, or of its answer, while the handler reads it. Default 60,000. */
  bodyIdleMs: number;
  /**
   * The rest of a request that was answered early is discarded: a reset could overtake the answer (RFC 9112 §9.6). It
   * comes after this many milliseconds of silence. Default 5,000.
   */
  lingerMs: number;
  /** The most milliseconds for which something is discarded. Default 30,000, as in nginx. */
  lingerTotalMs: number;
  /** The most bytes that are discarded. Default 1 GiB. */
  lingerBytes: number;
  /**
   * Milliseconds behind `HttpServer.drain()` for which an idle connection stays open: a request that the client was just
   * sending is answered, and that answer announces the close. 0: it is closed at once, and such a request is lost.
   * Default 0.
   */
  drainIdleMs: number;
  /** Connections at once; further ones are reset. Default 65,536. */
  maxConnections: number;
  /** Requests on one connection; with the answer to the last one it closes. Default `Infinity`. */
  maxRequestsPerConnection: number;
  /** Milliseconds behind which a connection closes with its next answer. Default `Infinity`. */
  maxConnectionAgeMs: number;
  /** Bytes of later requests that are read while one is served. Default 64 KiB. */
  pipelineBytes: number;
  /**
   * Bytes that all connections together may have read before somebody waits for them: of bodies, and of later requests.
   * Past it each connection reads only what is waited for, so that a client which leaves with a FIN may be noticed late.
   * Default 32 MiB.
   */
  maxReadAheadBytes: number;
  /**
   * Bytes that all incomplete heads together may take. Past it the oldest one is answered 503 and its connection closed:
   * nothing may be wrong with that head, so that a 431 would blame it. Default 32 MiB.
   */
  maxHeadsBytes: number;
  /** What is held is added here, too. The limits of the account are enforced by others. Default: none. */
  memory?: MemoryAccount;
  /**
   * Milliseconds without a byte written to a client that has sent FIN behind its whole request, until its exchange ends.
   * They are counted once the answer's head is there. 0: the FIN ends the exchange at once, as in nginx. Default 30,000.
   */
  halfClosedMs: number;
  /** The same where `scheme` is `https`: browsers, and the proxies that end their TLS, leave with a FIN. Default 0. */
  halfClosedTlsMs: number;
  /** The same for streamed answers in live formats (`isLive`), which may never end by themselves. Default 0. */
  halfClosedLiveMs: number;
  /** Whether answers of this Content-Type are live. Default: `isLiveFormat`. */
  isLive: (contentType: string | undefined) => boolean;
  /** The scheme of the server's public URLs. Default `http`. */
  scheme: "http" | "https";
  limits: HttpLimits;
  clock: Clock;
  /** Makes an id for each exchange. Default: a random prefix for the server, then a count. */
  nextId: () => string;
  /**
   * Names each connection, for `RequestHead.visitorConnection`. Default: they have no names. No two may have the same,
   * not even of different processes.
   */
  nameConnection: () => string | undefined;
  /** The client's address. Default: that of the socket; `""` for unix sockets. */
  clientOf: (socket: Socket) => string;
  /**
   * Who sent a request with these fields, where proxies are trusted; `scheme` is that of this server. Default null: the
   * client is `clientOf` the socket, the scheme is the server's.
   */
  visitorOf: ((socket: Socket, fields: Fields, scheme: "http" | "https") => Visitor) | null;
  /**
   * The answer where a handler rejects, or where a request cannot be parsed (`head` is then `null`). Its body must be
   * bytes or `null`. `client` is the client's address. Default: plain text with the error's `status`, else 500.
   */
  errorAnswer: (error: unknown, head: RequestHead | null, client: string) => Answer;
  /**
   * Called, for logs, for each handler that rejects, answer that breaks off and callback that throws, but not for
   * clients that leave or send malformed requests. Default: does nothing.
   */
  onError: (error: unknown) => void;
}

/** The options that are not to have their defaults. */
export type HttpServerInit = Partial<Omit<HttpServerOptions, "limits">> & { readonly limits?: Partial<HttpLimits> };

/** The longest delay that timers of both runtimes accept. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const ranges: { readonly [name in keyof HttpServerOptions]?: readonly [min: number, max: number] } = {
  headTimeoutMs: [1, MAX_DELAY_MS],
  keepAliveMs: [1, MAX_DELAY_MS],
  bodyIdleMs: [1, MAX_DELAY_MS],
  lingerMs: [1, MAX_DELAY_MS],
  lingerTotalMs: [0, MAX_DELAY_MS],
  lingerBytes: [0, Number.MAX_SAFE_INTEGER],
  drainIdleMs: [0, MAX_DELAY_MS],
  maxConnections: [1, Number.MAX_SAFE_INTEGER],
  maxRequestsPerConnection: [1, Infinity],
  maxConnectionAgeMs: [1, Infinity],
  pipelineBytes: [1, Number.MAX_SAFE_INTEGER],
  maxReadAheadBytes: [0, Number.MAX_SAFE_INTEGER],
  maxHeadsBytes: [1, Number.MAX_SAFE_INTEGER],
  halfClosedMs: [0, MAX_DELAY_MS],
  halfClosedTlsMs: [0, MAX_DELAY_MS],
  halfClosedLiveMs: [0, MAX_DELAY_MS],
};

/**
 * Completes `options` with the defaults.
 *
 * @throws {OptionError} for a number out of its range, an unknown scheme, and limits that are too low for any message
 */
export function verifyServerOptions(options: HttpServerInit = {}): HttpServerOptions {
  const complete: HttpServerOptions = {
    headTimeoutMs: 10_000,
    keepAliveMs: 75_000,
    bodyIdleMs: 60_000,
    lingerMs: 5_000,
    lingerTotalMs: 30_000,
    lingerBytes: 1024 * 1024 * 1024,
    drainIdleMs: 0,
    maxConnections: 65_536,
    maxRequestsPerConnection: Infinity,
    maxConnectionAgeMs: Infinity,
    pipelineBytes: 64 * 1024,
    maxReadAheadBytes: 32 * 1024 * 1024,
    maxHeadsBytes: 32 * 1024 * 1024,
    halfClosedMs: 30_000,
    halfClosedTlsMs: 0,
    halfClosedLiveMs: 0,
    isLive: isLiveFormat,
    scheme: "http",
    clock: systemClock,
    nextId: countingIds(),
    nameConnection: () => undefined,
    clientOf: (socket) => socket.remote.kind === "unix" ? "" : socket.remote.host,
    visitorOf: null,
    errorAnswer: plainErrorAnswer,
    onError: () => {},
    ...options,
    limits: verifyLimits(options.limits),
  };
  for (const [name, [min, max]] of Object.entries(ranges)) {
    const value = complete[name as keyof HttpServerOptions] as number;
    if (value !== Infinity || max !== Infinity) checkRange(name, value, min, Math.min(max, Number.MAX_SAFE_INTEGER));
  }
  if (complete.scheme !== "http" && complete.scheme !== "https") {
    throw new OptionError(`The option scheme is ${JSON.stringify(complete.scheme)}, not "http" or "https"`);
  }
  return complete;
}

function countingIds(): () => string {
  const prefix = crypto.randomUUID().slice(0, 8);
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}

const encoder = new TextEncoder();

/** The status as plain text. The error's own text is not shown to clients. */
function plainErrorAnswer(error: unknown): Answer {
  const hint = (error as { status?: unknown } | null)?.status;
  const status = typeof hint === "number" && Number.isInteger(hint) && hint >= 400 && hint <= 599 ? hint : 500;
  return {
    status,
    fields: ["Content-Type", "text/plain; charset=utf-8"],
    body: encoder.encode(`${status} ${reasonPhrase(status)}\n`),
  };
}
