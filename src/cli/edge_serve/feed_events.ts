/** What happens on an edge and in its directory, as events of the feed. docs/events.md lists them. */
import { isDeepStrictEqual } from "node:util";
import type { AcmeEvents } from "../../acme/mod.ts";
import type { Directory } from "../../control/mod.ts";
import type { AccessRecord, AccessStart, AgentSession, EdgeEvents, RequestObserver } from "../../edge/mod.ts";
import type { EventFeed, EventFields } from "../../events/mod.ts";

/** What is told always: it is rare. */
export function feedEvents(feed: EventFeed): EdgeEvents {
  const nodes = new Map<string, string | null>();
  const refused = (what: string, reason: string, count: number, address: string | null = null) =>
    feed.publish("refused", { what, reason, count, address: address || undefined });
  return {
    onConnected: (session) => {
      nodes.set(session.id, session.node);
      feed.publish("session_started", { ...sessionFields(session), ...session.peer });
    },
    onSession: (session, tunnel) => {
      feed.publish("tunnel_opened", { tunnel, session, node: nodes.get(session) ?? undefined });
    },
    onSuspended: (session, streams) => {
      feed.publish("session_suspended", { ...sessionFields(session), streams });
    },
    onResumed: (session, suspendedMs, streams) => {
      const { address } = session.peer;
      feed.publish("session_resumed", {
        ...sessionFields(session),
        address,
        suspendedMs: Math.round(suspendedMs),
        streams,
      });
    },
    onDisconnected: (session, { code, reason }, tunnels) => {
      nodes.delete(session.id);
      feed.publish("session_ended", { ...sessionFields(session), tunnels, code, reason });
    },
    onTokensRefused: (address, count) => refused("token", "The token was refused", count, address),
    onQuotaReached: (reason, count) => refused("agent", reason, count),
    onTunnelRefused: (address, reason, count) => refused("tunnel", reason, count, address),
    onShed: (count, why) =>
      refused("connection", why === "descriptors" ? "Descriptors run out" : "There are too many connections", count),
    onLimitReached: (address, reason, count) => refused("visitor", reason, count, address),
    onBadFrame: (session, tunnel, reason) => feed.publish("bad_frame", { session, tunnel, reason }),
  };
}

/** What becomes of certificates that are ordered. */
export function feedOrders(feed: EventFeed): AcmeEvents {
  const timeText = (ms: number) => new Date(ms).toISOString();
  return {
    onIssued: ({ names, notAfter, isRenewal }) =>
      feed.publish("certificate_issued", { names, notAfter: timeText(notAfter), renewal: isRenewal }),
    onFailed: ({ names, challenge, reason, retryInMs, oldNotAfter }) => {
      const notAfter = oldNotAfter === null ? undefined : timeText(oldNotAfter);
      feed.publish("certificate_failed", { names, challenge, reason, retryInMs, notAfter });
    },
  };
}

/** What is told while somebody listens. */
export function requestFeed(feed: EventFeed): RequestObserver {
  return {
    onRequestStart: (start) => feed.publish("request_started", requestFields(start)),
    onRequest: ({ code, ...record }) => feed.publish("request", { ...requestFields(record), code: code ?? undefined }),
  };
}

/** Tells of each change of a node, a token or a declared tunnel. The returned function ends that. */
export function feedChanges(directory: Directory, feed: EventFeed): () => void {
  return directory.onChange((kind, before, after, revision) => {
    // A tunnel's hostnames are told of with the tunnel, and so is that its nodes get another version of their config.
    if (kind === "hostname" || (kind === "node" && isDeepStrictEqual(before, after))) return;
    const change = before === null ? "added" : after === null ? "removed" : "changed";
    feed.publish("config_changed", { revision, kind, key: keyOf(after ?? before), change });
  });
}

/** The name of a node or tunnel, the public id of a token. */
function keyOf(record: unknown): string {
  const { name, id } = record as { readonly name?: string; readonly id: string };
  return name ?? id;
}

function sessionFields({ id, node, protocol }: AgentSession): EventFields {
  return { session: id, node: node ?? undefined, protocol };
}

/** Of a user agent, which alone could fill a head. */
const MAX_USER_AGENT_CHARACTERS = 512;

/** What is not known is left out. */
function requestFields(request: AccessStart | Omit<AccessRecord, "code">): EventFields {
  const { tunnel, session, userAgent, ...known } = request;
  return {
    ...known,
    tunnel: tunnel ?? undefined,
    session: session ?? undefined,
    userAgent: userAgent?.slice(0, MAX_USER_AGENT_CHARACTERS),
  };
}
