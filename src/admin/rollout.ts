/** How far the agents of a node are with a version of its config. */
import type { Acknowledgement } from "../store/mod.ts";

/**
 * `applied`: each agent serves that version or a later one. `failed`: one has acknowledged that it cannot. `pending`: one
 * has not said yet. `offline`: none is connected, and none has said.
 */
export type RolloutState = "applied" | "failed" | "pending" | "offline";

export interface InstanceRollout {
  /** Empty where a node has one agent, which needs no name. */
  readonly instance: string;
  /** The last version that it has acknowledged; null: none yet. */
  readonly version: number | null;
  readonly ok: boolean | null;
  readonly error: string | null;
  /** Whether its push stream is open. */
  readonly isLive: boolean;
}

export interface NodeRollout {
  readonly name: string;
  readonly version: number;
  readonly state: RolloutState;
  readonly instances: readonly InstanceRollout[];
}

/** What is known of a node. */
export interface NodeFacts {
  readonly acknowledgements: readonly Acknowledgement[];
  /** Instances whose push streams are open. */
  readonly live: readonly string[];
  /** Whether an agent of it has a session. */
  readonly hasSession: boolean;
}

export function rolloutOf(name: string, version: number, facts: NodeFacts): NodeRollout {
  const { acknowledgements, live } = facts;
  const said = new Map(acknowledgements.map((item) => [item.instance, item]));
  const instances = [...new Set([...live, ...said.keys()])].sort().map((instance): InstanceRollout => {
    const last = said.get(instance);
    const isLive = live.includes(instance);
    if (last === undefined) return { instance, version: null, ok: null, error: null, isLive };
    return { instance, version: last.version, ok: last.error === null, error: last.error, isLive };
  });
  return { name, version, state: stateOf(version, facts), instances };
}

function stateOf(version: number, { acknowledgements, live, hasSession }: NodeFacts): RolloutState {
  const reached = acknowledgements.filter((item) => item.version >= version);
  const applied = reached.filter(({ error }) => error === null);
  const lastAppliedAt = applied.map(({ at }) => at).sort().at(-1) ?? "";
  // An agent that has left counts no more once another one has applied the version behind it.
  const hasFailed = reached.some(({ error, instance, at }) => {
    return error !== null && (live.includes(instance) || at >= lastAppliedAt);
  });
  if (hasFailed) return "failed";
  const areAllApplied = live.every((instance) => applied.some((item) => item.instance === instance));
  if (applied.length > 0 && areAllApplied) return "applied";
  return live.length > 0 || hasSession ? "pending" : "offline";
}
