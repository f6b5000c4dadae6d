/** What happens on an edge, in its log. */
import { messageOf } from "../../base/mod.ts";
import type { AgentPeer, EdgeEvents } from "../../edge/mod.ts";
import { logger } from "../../observe/mod.ts";

export function logEvents(): EdgeEvents {
  const log = logger("edge");
  // By the tunnel's name, the id of its latest session: one that drains may end behind the next one's begin.
  const serving = new Map<string, string>();
  return {
    onSession: (id, tunnel, protocol, peer) => {
      serving.set(tunnel, id);
      const what = "Tunnel {tunnel} is online: agent {version} from {address}, session {id} ({protocol})";
      log.info(what, { tunnel, id, protocol, ...shownPeer(peer) });
    },
    onSessionEnd: (id, tunnel, code, reason, peer) => {
      const isServing = serving.get(tunnel) === id;
      if (isServing) serving.delete(tunnel);
      const what = isServing ? "Tunnel {tunnel} is offline" : "Tunnel {tunnel} had a later session already";
      const how = "agent {version} from {address}, session {id} ended: {reason} ({code})";
      log.info(`${what}: ${how}`, { tunnel, id, code, reason, ...shownPeer(peer) });
    },
    onTokensRefused: (address, count) => {
      if (address === null) log.warn("Refused {count} wrong tokens from further addresses", { count });
      else if (count === 1) log.warn("Refused a wrong token from {address}", { address, count });
      else log.warn("Refused {count} more wrong tokens from {address}", { address, count });
    },
    onQuotaReached: (reason, count) => {
      if (count === 1) log.warn("Refused an agent: {reason}", { reason });
      else log.warn("Refused {count} more agents: {reason}", { count, reason });
    },
    onTunnelRefused: (address, reason, count) => {
      const who = address === null ? "further agents" : "the agent from {address}";
      const what = count === 1 ? "Refused a tunnel to" : "Refused {count} more tunnels to";
      log.warn(`${what} ${who}: {reason}`, { address: address === "" ? "unknown" : address, reason, count });
    },
    onShed: (count, why) => {
      const cause = why === "descriptors"
        ? "descriptors run out: raise the limit of open files (ulimit -n)"
        : "there are as many as --max-connections lets the edge have";
      const what = count === 1 ? "{count} connection, since" : "{count} more connections within a minute, since";
      log.warn(`Refused ${what} ${cause}`, { count });
    },
    onLimitReached: (address, reason, count) => {
      const whom = address === null ? "visitors" : "{address}";
      const how = count === 1 ? "" : " {count} more times within a minute";
      log.warn(`Limited ${whom}${how}: {reason}`, { address, reason, count });
    },
    onProxyRefused: (address, reason, count) => {
      const from = address === null ? "further addresses" : address === "unix" ? "a unix socket" : address;
      const what = count === 1 ? "Refused a connection from {from}" : "Refused {count} more connections from {from}";
      log.warn(`${what}: {reason}`, { from, reason, count });
    },
    onReplaced: (tunnel, why) => log.warn("Tunnel {tunnel}: the session was replaced, {why}", { tunnel, why }),
    onBadFrame: (id, tunnel, reason) =>
      log.warn("Tunnel {tunnel}: session {id} sent a frame that cannot be taken: {reason}", { tunnel, id, reason }),
    onError: (error) => log.debug("Exchange failed: {error}", { error: withCause(error) }),
  };
}

function shownPeer({ address, version }: AgentPeer): { address: string; version: string } {
  return { address: address === "" ? "unknown" : address, version: version ?? "of another make" };
}

/** The public is told less than the cause. */
function withCause(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause === undefined || cause === null ? String(error) : `${error} (${messageOf(cause)})`;
}
