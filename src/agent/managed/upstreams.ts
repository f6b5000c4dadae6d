/** The private services of an agent's tunnels, each with a client of its own. */
import type { Handler } from "../../http/mod.ts";
import { compressedUpstream, withoutForwarding } from "../../http/mod.ts";
import { type Dial, HttpClient } from "../../http1/mod.ts";
import type { TlsOptions } from "../../net/mod.ts";
import type { AllowedUpstreams } from "../allowed_upstreams.ts";
import { parseTarget, TargetError } from "../target.ts";
import { type TunnelConfig, TunnelConfigError } from "./tunnel_config.ts";

export interface UpstreamsOptions {
  /** Where upstreams may be; null: anywhere, since whoever runs the agent names them. */
  readonly allowed: AllowedUpstreams | null;
  /** How `https://` upstreams are trusted. */
  readonly tls: TlsOptions;
  readonly dial: Dial;
  readonly limits: { readonly headBytes: number; readonly fieldCount: number };
  /** See `ClientOptions.connectionAuth`. */
  readonly connectionAuth: boolean;
  /** The handler that reports what passes through `upstream`. Default: the upstream itself. */
  readonly observed?: (upstream: Handler, tunnel: string) => Handler;
}

export interface TunnelUpstream {
  readonly handler: Handler;
  /** For people: `http://localhost:3000`. */
  readonly label: string;
  /** Connections that carry a request. */
  readonly active: number;
  /** Ends it now: requests under way break off. */
  close(): void;
}

/**
 * The upstream of a tunnel. Nothing is dialed before the first request.
 *
 * @throws {TunnelConfigError} where the config names none that can be dialed
 */
export function upstreamOf(tunnel: TunnelConfig, options: UpstreamsOptions): TunnelUpstream {
  const { name, upstream, hostHeader, compress = false, forwardedHeaders = true } = tunnel;
  const target = readTarget(name, upstream, options.tls);
  const { allowed, connectionAuth, limits } = options;
  if (allowed?.forbids(target.dial)) {
    const list = target.dial.kind === "unix" ? "which permits no unix sockets" : "by default this machine alone";
    const fault = `--allow-upstream of the agent does not permit ${target.label}, ${list}`;
    throw new TunnelConfigError(name, "upstream", fault);
  }
  const dial = allowed === null ? options.dial : allowed.dialer(options.dial);
  const client = new HttpClient({ target: target.dial, dial, connectionAuth, hostHeader, limits });
  const asked = forwardedHeaders ? client.request : withoutForwarding(client.request);
  const handler = compress ? compressedUpstream(asked) : asked;
  return {
    handler: options.observed?.(handler, name) ?? handler,
    label: target.label,
    get active() {
      return client.active;
    },
    close: () => client.close(),
  };
}

function readTarget(name: string, upstream: string, tls: TlsOptions): ReturnType<typeof parseTarget> {
  try {
    return parseTarget(upstream, tls);
  } catch (error) {
    if (!(error instanceof TargetError)) throw error;
    throw new TunnelConfigError(name, "upstream", error.reason);
  }
}
