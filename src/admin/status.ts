/** How an edge is: its nodes, the agents that are connected, and its tunnels. */
import type { Control } from "../control/mod.ts";
import type { Acknowledgement } from "../store/mod.ts";

export type State = "online" | "offline";

/** A connected agent, as the edge knows it. */
export interface StatusSession {
  readonly id: string;
  readonly node: string | null;
  readonly protocol: "json" | "v2";
  readonly peer: { readonly address: string; readonly version: string | null };
  readonly connectedAt: string;
  readonly isLeaving: boolean;
  readonly rttMs: number | null;
  readonly tunnels: readonly string[];
  readonly streams: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly bufferedBytes: number;
}

/** What is asked of the edge. */
export interface StatusSource {
  readonly connections: number;
  readonly active: number;
  readonly bufferedBytes: number;
  readonly isDraining: boolean;
  sessions(): readonly StatusSession[];
  readonly tunnels: {
    list(): readonly { readonly name: string; readonly session: { readonly id: string; isLeaving: boolean } | null }[];
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

function toldSession({ peer, isLeaving, rttMs, tunnels, ...session }: StatusSession) {
  return { ...session, ...peer, state: stateOf(!isLeaving), rttMs: rounded(rttMs), tunnels: [...tunnels] };
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
      state: stateOf(own.some(({ isLeaving }) => !isLeaving)),
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
    const session = open.get(name)?.session ?? null;
    return {
      name,
      url: edge.urlOf(name),
      node: session === null ? null : nodeOf.get(session.id) ?? null,
      nodes: [...tunnels.get(name)?.value.nodes ?? []],
      state: stateOf(session !== null && !session.isLeaving),
      session: session?.id ?? null,
      isDeclared: tunnels.has(name),
    };
  });
}

function stateOf(isOnline: boolean): State {
  return isOnline ? "online" : "offline";
}

function sum(sessions: readonly StatusSession[], key: "streams" | "bytesIn" | "bytesOut"): number {
  return sessions.reduce((total, session) => total + session[key], 0);
}

/** To microseconds. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1_000) / 1_000;
}
