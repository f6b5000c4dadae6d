/** The agent as a library: serves a function of the shape of `fetch` to the public, through an edge. */
import type { Clock } from "../base/mod.ts";
import { version } from "../config/mod.ts";
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
  /** Answers each public request. Bodies are streamed both ways. `request.signal` aborts when the visitor leaves. */
  fetch: (request: Request) => Response | Promise<Response>;
  /** Serves at NAME.DOMAIN. Default: the edge draws a name, which stays the same across lost links. */
  name?: string;
  /** Takes the name over from a live agent with the same token. Default false. */
  force?: boolean;
  /** Allows an unencrypted edge on another machine, and any certificate of an encrypted one. Default false. */
  edgeInsecure?: boolean;
  /** Certificates in PEM that are trusted for the edge instead of the runtime's list. Default: that list. */
  edgeCa?: string;
  /** Milliseconds for which the first connection is tried. Default 10,000. */
  connectTimeoutMs?: number;
  /** The link to the edge was lost. */
  onDisconnected?(reason: string): void;
  /** The tunnel is open; after each lost link again. */
  onReady?(url: string): void;
  clock?: Clock;
}

export interface Exposed {
  /** The public URL. */
  readonly url: string;
  readonly name: string;
  /** Resolves when it is over: null after `drain()` and `close()`, else why the edge refuses for good. Never rejects. */
  readonly closed: Promise<AgentError | null>;
  /** Lets requests under way end, then closes. */
  drain(): Promise<void>;
  /** Closes now; requests under way break off. */
  close(): void;
}

/**
 * Serves `fetch` through an edge, and keeps doing so across lost links. Resolves once the tunnel is open.
 *
 * @throws {AgentError} where the first connection cannot be had or the edge refuses
 * @throws {EdgeUrlError} where `edge` is no URL of an edge
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
  const edge = parseEdgeUrl(options.edge, options.edgeInsecure, options.edgeCa);
  const upstream = fetchUpstream(options.fetch);
  let tunnel: OpenTunnel | null = null;
  const { promise: ready, resolve: onReady } = Promise.withResolvers<void>();
  const agent = new Agent({
    open: (signal) => {
      const { token, force, clock, name = tunnel?.name } = options;
      return openV2Tunnel({ edge, token, upstream, name, force, version, clock }, signal);
    },
    events: {
      onReady: (open) => {
        tunnel = open;
        onReady();
        options.onReady?.(open.url);
      },
      onDisconnected: ({ reason }) => options.onDisconnected?.(reason),
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
    closed: run.then(() => null, (error: AgentError) => error),
    drain: () => agent.drain(),
    close: () => agent.close(),
  };
}
