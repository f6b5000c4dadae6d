/** A plain listener beside one with TLS: visitors are sent there, and what must work without TLS is served. */
import { type Answer, type Handler, pathOf, type RequestHead } from "../http/mod.ts";
import { isServicePath } from "./own_paths.ts";
import { hostOf, type Router } from "./router.ts";
import type { TrafficTable } from "./traffic_table.ts";

export interface RedirectOptions {
  readonly router: Router;
  readonly traffic: TrafficTable;
  /** The port of `https`. Asked for each redirect. */
  readonly port: () => number;
  /** True for the hosts that visitors may ask without TLS. */
  readonly isPlainHost: (host: string) => boolean;
}

/** Authorities look for their challenges on port 80, and follow no redirect that cannot be served yet (RFC 8555 §8.3). */
const challengePattern = /^\/\.well-known\/acme-challenge\/[A-Za-z0-9_-]+$/;
const DEFAULT_TLS_PORT = 443;

/**
 * Answers visitors with 308 to the same target at `https`. `handler` gets the rest: agents, probes, challenges of ACME,
 * plain hosts, hosts that no tunnel has, and requests that a trusted proxy has received by `https`.
 */
export function redirectHandler(handler: Handler, options: RedirectOptions): Handler {
  return (head, body, signal) => {
    if (isServedPlain(head, options)) return handler(head, body, signal);
    head.meter?.countFor(options.traffic.own);
    return Promise.resolve(redirectTo(head, options.port()));
  };
}

function isServedPlain(head: RequestHead, { router, isPlainHost }: RedirectOptions): boolean {
  const { scheme, target, authority } = head;
  if (scheme === "https" || isChallenge(head)) return true;
  const { kind } = router.route(authority);
  if (kind === "unknown") return true;
  // The path decides for these: agents may know the edge by any name.
  if (kind === "foreign" || (kind === "own" && isServicePath(target))) return true;
  const host = hostOf(authority);
  return host === "" || isPlainHost(host);
}

/** Nothing else below that path: services that resolve `..` would serve all they have. */
function isChallenge({ method, target }: RequestHead): boolean {
  return (method === "GET" || method === "HEAD") && challengePattern.test(target);
}

function redirectTo({ authority, target }: RequestHead, port: number): Answer {
  const origin = `https://${hostOf(authority)}${port === DEFAULT_TLS_PORT ? "" : `:${port}`}`;
  // OPTIONS may ask for `*`, which is no path.
  const path = pathOf(target) === "*" ? "/" : target;
  return { status: 308, fields: ["Location", origin + path], body: null };
}
