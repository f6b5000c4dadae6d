/** The limits of `edge serve`, as those of its edge. */
import { type edgeServeOptions, type OptionValues, UsageError } from "../../config/mod.ts";
import type { EdgeOptions } from "../../edge/mod.ts";

type Values = OptionValues<typeof edgeServeOptions>;

/** What a rate allows at once where nobody says how many. */
const BURST_SECONDS = 5;
const LEAST_BURST = 10;
/** Of handshakes, which have no option for it. */
const HANDSHAKE_BURST_SECONDS = 2;

/** @throws {UsageError} for options that do not go together */
export function limitsOf(values: Values): Pick<EdgeOptions, "limits" | "http"> {
  const { headLimit, lineLimit } = values;
  if (lineLimit > headLimit) {
    throw new UsageError(
      "--line-limit is more than --head-limit, although the line is a part of the head",
      "Raise --head-limit, or lower --line-limit",
    );
  }
  return {
    limits: {
      visitors: {
        visitor: {
          requests: requestRate("visitor", values.visitorRate, values.visitorBurst),
          concurrent: values.visitorConcurrency,
          upgraded: values.visitorWebsockets,
          bytesPerSecond: values.visitorBandwidth,
        },
        tunnel: {
          requests: requestRate("tunnel", values.tunnelRate, values.tunnelBurst),
          concurrent: values.tunnelConcurrency,
          upgraded: values.tunnelWebsockets,
          bytesPerSecond: values.tunnelBandwidth,
        },
        bodyBytes: values.bodyLimit,
      },
      connections: {
        maxConnections: values.maxConnections,
        maxPerAddress: values.connectionsPerAddress,
        handshakes: handshakeRate(values.handshakeRate),
        handshakesPerAddress: handshakeRate(values.addressHandshakeRate),
      },
    },
    http: {
      limits: {
        headBytes: headLimit,
        fieldCount: values.fieldLimit,
        requestLineBytes: lineLimit,
        trailerBytes: values.trailerLimit,
      },
      headTimeoutMs: values.headTimeout,
      bodyIdleMs: values.bodyTimeout,
      keepAliveMs: values.keepAliveTimeout,
      maxRequestsPerConnection: values.requestsPerConnection,
      maxConnectionAgeMs: values.connectionAge,
    },
  };
}

function requestRate(whose: "visitor" | "tunnel", perSecond: number | null, burst: number | undefined) {
  if (perSecond !== null) {
    return { perSecond, burst: burst ?? Math.max(LEAST_BURST, Math.ceil(perSecond * BURST_SECONDS)) };
  }
  if (burst === undefined) return null;
  throw new UsageError(`--${whose}-burst says nothing without --${whose}-rate`, `Give --${whose}-rate, such as 20/s`);
}

function handshakeRate(perSecond: number | null) {
  return perSecond === null ? null : { perSecond, burst: Math.max(1, Math.ceil(perSecond * HANDSHAKE_BURST_SECONDS)) };
}
