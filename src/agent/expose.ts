/** The agent as a library: serves a function of the shape of `fetch` to the public, through an edge. */
import { inspect } from "node:util";
import { checkRange, type Clock, OptionError, printableLines } from "../base/mod.ts";
import { agentFeatures, instancePattern, tokenFault, version } from "../config/mod.ts";
import { fetchUpstream } from "../http/mod.ts";
import { Agent } from "./agent.ts";
import { parseEdgeUrl } from "./edge_url.ts";
import type { AgentError } from "./errors.ts";
import type { OpenTunnel } from "./open_tunnel.ts";
import { openV2Tunnel } from "./v2_dial.ts";

export interface ExposeOptions {
  /** The edge's URL, e.g. `https://example.com`. */
  edge: string;
  token: string;
  /**
   * Answers each public request. Bodies are streamed both ways. `request.signal` aborts when the visitor leaves. Where it
   * throws, the visitor gets a 502, and `onError` is called.
   */
  fetch: (request: Request) => Response | Promise<Response>;
  /** Serves at NAME.DOMAIN. Default: the edge draws a name, which stays the same across lost links. */
  name?: string;
  /** Takes the name over from a live agent with the same token. Default false. */
  force?: boolean;
  /**
   * Serves `name` together with other programs and agents that ask for this, too, with a token of the same owner. The edge
   * gives each request to the one with the fewest under way. Needs `name`. Default false.
   */
  share?: boolean;
  /**
   * Stays the same when the program is started anew, and is another one for each that runs: letters, digits, `.`, `_` and
   * `-`, at most 64. A program that was killed is then replaced at once, as the edge knows that it is the same one. Default:
   * none, and the name is free again after 3 s.
   */
  instance?: string;
  /** Allows an unencrypted edge on another machine, and any certificate of an encrypted one. Default false. */
  edgeInsecure?: boolean;
  /** Certificates in PEM that are trusted for the edge instead of the runtime's list. Default: that list. */
  edgeCa?: string;
  /** Keys that an `https://` edge may have, as `sha256/BASE64`; no other one is trusted. Default: authorities count. */
  edgePins?: readonly string[];
  /**
   * Milliseconds for which the first connection is tried, from 1. `Infinity`: for ever, whatever the edge answers, but
   * for a name that no tunnel can have; this also holds for what it answers after a lost link. Default 10,000.
   */
  connectTimeoutMs?: number;
  /**
   * Milliseconds that the edge waits for an answer of `fetch` to begin, from 1; `Infinity`: for ever. Where it gives less,
   * `onError` is told once. Default: the edge's own setting.
   */
  firstByteMs?: number;
  /** The link to the edge was lost. Reconnecting begins, and is tried for ever, unless another agent took the name. */
  onDisconnected?(reason: string): void;
  /** The tunnel is open; after each lost link again. */
  onReady?(url: string): void;
  /**
   * Something failed that nobody waits for: `fetch` threw or returned no `Response`, the body of its answer failed or was
   * not as long as its Content-Length (each with the `request`), one of these functions threw, the edge gives less than
   * `firstByteMs` (an `OptionError`), or after a lost link the edge refuses for good or another agent has
   * taken the name (an `AgentError`). Default: it is written to the console, with method and URL, without the query.
   */
  onError?(error: unknown, request?: Request): void;
  clock?: Clock;
}

export interface Exposed {
  /** The public URL. */
  readonly url: string;
  readonly name: string;
  /** Resolves when it is over: null after `drain()` and `close()`, else what ended the agent. Never rejects. */
  readonly closed: Promise<AgentError | null>;
  /** Lets requests under way end, then closes. */
  drain(): Promise<void>;
  /** Closes now; requests under way break off. */
  close(): void;
}

/**
 * Serves `fetch` through an edge, and keeps doing so across lost links. Resolves once the tunnel is open. The process
 * stays alive until `closed` resolves, or until this rejects.
 *
 * @throws {AgentError} where the first connection cannot be had or the edge refuses
 * @throws {EdgeUrlError} where `edge` is no URL of an edge
 * @throws {OptionError} where another option has no value that it can have
 *
 * @example
 * ```ts
 * const { url } = await expose({
 *   edge: "http://127.0.0.1:8080",
 *   token: "secret",
 *   fetch: () => new Response("hello"),
 * });
 * ```
 */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  const edge = parseEdgeUrl(options.edge, options.edgeInsecure, options.edgeCa, options.edgePins);
  checkOptions(options);
  const onError = reporterTo(options.onError);
  const upstream = fetchUpstream(options.fetch, { onError });
  const guarded = (call: () => void) => {
    try {
      call();
    } catch (error) {
      onError(error);
    }
  };
  let tunnel: OpenTunnel | null = null;
  const { promise: ready, resolve: onReady } = Promise.withResolvers<void>();
  const agent = new Agent({
    open: (signal) => {
      const { token, force, share, instance, firstByteMs, clock, name = tunnel?.name } = options;
      const told = { version, features: [agentFeatures.http] };
      return openV2Tunnel(
        { edge, token, upstream, name, force, share, instance, firstByteMs, clock, onError, ...told },
        signal,
      );
    },
    events: {
      onReady: (open) => {
        if (tunnel === null) {
          for (const text of open.warnings ?? []) onError(new OptionError(`The option firstByteMs: ${text}`));
        }
        tunnel = open;
        onReady();
        guarded(() => options.onReady?.(open.url));
      },
      onDisconnected: ({ reason }) => guarded(() => options.onDisconnected?.(reason)),
    },
    connectTimeoutMs: options.connectTimeoutMs,
    clock: options.clock,
  });
  const run = agent.run();
  await Promise.race([ready, run]);
  const current = () => tunnel as OpenTunnel;
  return {
    get url() {
      return current().url;
    },
    get name() {
      return current().name;
    },
    closed: run.then(() => null, (error: AgentError) => {
      onError(error);
      return error;
    }),
    drain: () => agent.drain(),
    close: () => agent.close(),
  };
}

/** @throws {OptionError} which does not show the token */
function checkOptions({ token, fetch, name, share, instance, connectTimeoutMs, firstByteMs }: ExposeOptions): void {
  const fault = typeof token === "string" ? tokenFault(token) : `is ${typeof token}, and no text`;
  if (fault !== null) throw new OptionError(`The option token ${fault}`);
  if (typeof fetch !== "function") throw new OptionError(`The option fetch is ${typeof fetch}, and no function`);
  if (share && name === undefined) {
    throw new OptionError("The option share needs the option name: no other agent knows a name that is drawn");
  }
  if (instance !== undefined && !instancePattern.test(instance)) {
    throw new OptionError("The option instance has other characters than letters, digits, ., _ and -, or over 64");
  }
  checkTimeout("connectTimeoutMs", connectTimeoutMs);
  checkTimeout("firstByteMs", firstByteMs);
}

/** @throws {OptionError} */
function checkTimeout(name: string, value: number | undefined): void {
  if (value !== undefined && value !== Infinity) checkRange(name, value, 1);
}

type OnError = NonNullable<ExposeOptions["onError"]>;

/** The user's function, which must not end the agent where it throws itself. */
function reporterTo(onError: OnError = writeToConsole): OnError {
  return (error, request) => {
    try {
      onError(error, request);
    } catch (another) {
      writeToConsole(error, request);
      writeToConsole(another);
    }
  };
}

/** Without the query, which may hold secrets. */
function writeToConsole(error: unknown, request?: Request): void {
  const where = request === undefined ? "" : `${request.method} ${request.url.split("?", 1)[0]}: `;
  console.error(printableLines(`runnel: ${where}${inspect(error)}`));
}
