/** How an edge is: its nodes, the agents that are connected, and its tunnels. */
import type { Control } from "../control/mod.ts";
import type { Acknowledgement } from "../store/mod.ts";

/** `suspended`: its link is lost, and its agent is waited for. `leaving`: it finishes what runs, and takes nothing new. */
export type State = "online" | "suspended" | "leaving" | "offline";

/** A connected agent, as the edge knows it. */
export interface StatusSession {
  readonly id: string;
  readonly node: string | null;
  readonly protocol: "json" | "v2";
  readonly peer: { readonly address: string; readonly version: string | null };
  readonly connectedAt: string;
  readonly isLeaving: boolean;
  readonly isSuspended: boolean;
  readonly rttMs: number | null;
  readonly tunnels: readonly string[];
  readonly streams: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly bufferedBytes: number;
}

type SessionState = Pick<StatusSession, "isLeaving" | "isSuspended">;

/** A tunnel that agents have opened, as the edge knows it. */
export interface StatusTunnel {
  readonly name: string;
  /** One of those that serve it, which takes requests where one does; null while offline. */
  readonly session: { readonly id: string } | null;
  readonly holders: readonly { readonly session: SessionState & { readonly id: string } }[];
}

/** What is asked of the edge. */
export interface StatusSource {
  readonly connections: number;
  readonly active: number;
  readonly bufferedBytes: number;
  readonly isDraining: boolean;
  sessions(): readonly StatusSession[];
  readonly tunnels: {
    list(): readonly StatusTunnel[];
  };
  urlOf(name?: string): string;
}

/**
 * @param acknowledgements of all nodes
 * @param instancesOf those of a node that listen to changes
 */
export function statusOf(
  edge: StatusSource,
  { directory }: Pick<Control, "directory">,
  acknowledgements: readonly Acknowledgement[],
  instancesOf: (node: string) => readonly string[] = () => [],
) {
  const sessions = edge.sessions();
  return {
    state: edge.isDraining ? "draining" as const : "ready" as const,
    url: edge.urlOf(),
    revision: directory.revision,
    connections: edge.connections,
    requests: edge.active,
    bufferedBytes: edge.bufferedBytes,
    nodes: nodesOf(sessions, directory, acknowledgements, instancesOf),
    sessions: sessions.map(toldSession),
    tunnels: tunnelsOf(edge, sessions, directory),
  };
}

function toldSession({ peer, isLeaving, isSuspended, rttMs, tunnels, ...session }: StatusSession) {
  const state = stateOf([{ isLeaving, isSuspended }]);
  return { ...session, ...peer, state, rttMs: rounded(rttMs), tunnels: [...tunnels] };
}

function nodesOf(
  sessions: readonly StatusSession[],
  directory: Control["directory"],
  acknowledgements: readonly Acknowledgement[],
  instancesOf: (node: string) => readonly string[],
) {
  const sessionsByNode = Map.groupBy(sessions, ({ node }) => node);
  const acknowledgementsByNode = Map.groupBy(acknowledgements, ({ node }) => node);
  return [...directory.nodes].sort(([a], [b]) => a < b ? -1 : 1).map(([name, { revision: wanted }]) => {
    const own = sessionsByNode.get(name) ?? [];
    const newest = own.at(-1);
    const acknowledged = acknowledgedBy(acknowledgementsByNode.get(name) ?? [], instancesOf(name));
    return {
      name,
      state: stateOf(own),
      version: newest?.peer.version ?? null,
      protocol: newest?.protocol ?? null,
      rttMs: rounded(newest?.rttMs ?? null),
      tunnels: own.flatMap(({ tunnels }) => tunnels).sort(),
      streams: sum(own, "streams"),
      bytesIn: sum(own, "bytesIn"),
      bytesOut: sum(own, "bytesOut"),
      config: { acknowledged, wanted },
    };
  });
}

/**
 * The version that the agents of a node run: of several that listen, the one that is furthest behind, else the one that
 * acknowledged last. 0 where it runs none that is known; null where none has acknowledged anything.
 *
 * @param listening the instances that listen
 */
function acknowledgedBy(acknowledgements: readonly Acknowledgement[], listening: readonly string[]): number | null {
  const known = new Map(acknowledgements.map((item) => [item.instance, item]));
  const heard = listening.some((instance) => known.has(instance));
  if (heard) return Math.min(...listening.map((instance) => appliedOf(known.get(instance))));
  if (listening.length > 0 || acknowledgements.length === 0) return null;
  return appliedOf(acknowledgements.reduce((last, item) => item.at > last.at ? item : last));
}

function appliedOf(acknowledgement: Acknowledgement | undefined): number {
  if (acknowledgement === undefined) return 0;
  const { version, error, applied } = acknowledgement;
  return error === null ? version : applied ?? 0;
}

/** The declared ones, and those that agents have opened beside them. */
function tunnelsOf(edge: StatusSource, sessions: readonly StatusSession[], { tunnels }: Control["directory"]) {
  const nodeOf = new Map(sessions.map(({ id, node }) => [id, node]));
  const open = new Map(edge.tunnels.list().map((tunnel) => [tunnel.name, tunnel]));
  const names = new Set([...tunnels.keys(), ...open.keys()]);
  return [...names].sort().map((name) => {
    const tunnel = open.get(name);
    const session = tunnel?.session ?? null;
    const serving = (tunnel?.holders ?? []).map(({ session }) => session);
    return {
      name,
      url: edge.urlOf(name),
      node: session === null ? null : nodeOf.get(session.id) ?? null,
      nodes: [...tunnels.get(name)?.value.nodes ?? []],
      state: stateOf(serving),
      session: session?.id ?? null,
      sessions: serving.map(({ id }) => id),
      isDeclared: tunnels.has(name),
    };
  });
}

/** That of several sessions together: the best one. */
function stateOf(sessions: readonly SessionState[]): State {
  if (sessions.length === 0) return "offline";
  if (sessions.some(({ isLeaving, isSuspended }) => !isLeaving && !isSuspended)) return "online";
  return sessions.some(({ isLeaving }) => !isLeaving) ? "suspended" : "leaving";
}

function sum(sessions: readonly StatusSession[], key: "streams" | "bytesIn" | "bytesOut"): number {
  return sessions.reduce((total, session) => total + session[key], 0);
}

/** To microseconds. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1_000) / 1_000;
}
