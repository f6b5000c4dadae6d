/** What happens on an edge, in its log. */
import { messageOf } from "../../base/mod.ts";
import type { AgentPeer, EdgeEvents } from "../../edge/mod.ts";
import { logger } from "../../observe/mod.ts";

const MAX_SHOWN_TUNNELS = 5;

export function logEvents(): EdgeEvents {
  const log = logger("edge");
  // By the tunnel's name, the ids of its sessions, in their order: one that drains may end behind the next one's begin.
  const serving = new Map<string, string[]>();
  // By the session's id, the names of its tunnels.
  const opened = new Map<string, Set<string>>();
  const tunnelsOf = (id: string) => namesOf([...opened.get(id) ?? []]);
  return {
    onSession: (id, tunnel, protocol, peer) => {
      serving.set(tunnel, [...serving.get(tunnel) ?? [], id]);
      opened.set(id, (opened.get(id) ?? new Set()).add(tunnel));
      const what = "Tunnel {tunnel} is online: agent {version} from {address}, session {id} ({protocol})";
      log.info(what, { tunnel, id, protocol, ...shownPeer(peer) });
    },
    onSessionEnd: (id, tunnel, code, reason, peer) => {
      const ids = serving.get(tunnel) ?? [];
      const left = ids.filter((other) => other !== id);
      opened.get(id)?.delete(tunnel);
      if (opened.get(id)?.size === 0) opened.delete(id);
      if (left.length === 0) serving.delete(tunnel);
      else serving.set(tunnel, left);
      const what = left.length === 0 ? "Tunnel {tunnel} is offline" : "Tunnel {tunnel} goes on with another session";
      const how = "agent {version} from {address}, session {id} ended: {reason} ({code})";
      log.info(`${what}: ${how}`, { tunnel, id, code, reason, ...shownPeer(peer) });
    },
    onSuspended: ({ id }, streams) => {
      const waiting = streams === 1 ? "{streams} stream waits" : "{streams} streams wait";
      log.info(`Session {id} of {tunnels} lost its link (${waiting})`, { id, tunnels: tunnelsOf(id), streams });
    },
    onResumed: ({ id }, suspendedMs, streams) => {
      const what = "Session {id} of {tunnels} resumed after {seconds} s";
      log.info(what, { id, tunnels: tunnelsOf(id), seconds: Math.round(suspendedMs / 100) / 10, streams });
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

/** Of a session with very many tunnels, the first ones. */
function namesOf(tunnels: readonly string[]): string {
  const shown = tunnels.slice(0, MAX_SHOWN_TUNNELS).join(", ");
  if (tunnels.length > MAX_SHOWN_TUNNELS) return `${shown} and ${tunnels.length - MAX_SHOWN_TUNNELS} more`;
  return shown === "" ? "no tunnel" : shown;
}

function shownPeer({ address, version }: AgentPeer): { address: string; version: string } {
  return { address: address === "" ? "unknown" : address, version: version ?? "of another make" };
}

/** The public is told less than the cause. */
function withCause(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause === undefined || cause === null ? String(error) : `${error} (${messageOf(cause)})`;
}
