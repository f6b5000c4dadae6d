/** Waits until agents have applied the versions of their configs. */
import { systemClock } from "../../base/mod.ts";
import { holdProcess } from "../../net/mod.ts";
import { AdminError } from "../admin_error.ts";
import type { AdminClient } from "./client.ts";

export interface RolloutInstance {
  readonly instance: string;
  readonly version: number | null;
  readonly ok: boolean | null;
  readonly error: string | null;
}

export interface NodeRollout {
  readonly name: string;
  readonly version: number;
  readonly state: "applied" | "failed" | "pending" | "offline";
  readonly instances: readonly RolloutInstance[];
}

export interface RolloutOptions {
  readonly timeoutMs: number;
  /** True: what is offline is not waited for. */
  readonly isOnlineOnly: boolean;
  /** Told of all nodes whenever one has another state. */
  onProgress(nodes: readonly NodeRollout[]): void;
}

/** Nodes that one request may ask about. */
const MAX_NODES = 64;
/** The edge answers then at the latest; the client waits 30 s for an answer. */
const MAX_WAIT_MS = 20_000;
/** Until an edge that cannot be asked, such as one that is being restarted, is asked again. */
const RETRY_MS = 500;

/** Resolves to the states at the end: all are settled, or the time is over. @throws {AdminError} */
export async function awaitRollout(
  client: AdminClient,
  nodes: readonly { readonly name: string; readonly version: number }[],
  options: RolloutOptions,
): Promise<NodeRollout[]> {
  const states = new Map<string, NodeRollout>(
    nodes.map(({ name, version }) => [name, { name, version, state: "pending", instances: [] }]),
  );
  const deadline = systemClock.now() + options.timeoutMs;
  // A pause between two requests would let the process end.
  const endHold = holdProcess();
  try {
    for (const query of queriesOf(nodes)) await awaitBatch(client, query, deadline, states, options);
  } finally {
    endHold();
  }
  return [...states.values()];
}

async function awaitBatch(
  client: AdminClient,
  query: string,
  deadline: number,
  states: Map<string, NodeRollout>,
  { isOnlineOnly, onProgress }: RolloutOptions,
): Promise<void> {
  for (let seen = "";;) {
    const leftMs = Math.max(0, Math.ceil(deadline - systemClock.now()));
    const wait = `&waitMs=${Math.min(leftMs, MAX_WAIT_MS)}${seen === "" ? "" : `&seen=${seen}`}`;
    try {
      const answer = await client.ask("GET", `/api/v1/rollout?${query}${wait}`) as {
        tag: string;
        nodes: NodeRollout[];
      };
      seen = answer.tag;
      const hasChanged = answer.nodes.some(({ name, state }) => states.get(name)?.state !== state);
      for (const node of answer.nodes) states.set(node.name, node);
      if (hasChanged) onProgress([...states.values()]);
      if (answer.nodes.every(({ state }) => isSettled(state, isOnlineOnly))) return;
    } catch (error) {
      const mayPass = error instanceof AdminError && ["edge_unreachable", "overloaded"].includes(error.code);
      if (!mayPass || leftMs <= RETRY_MS) throw error;
      await new Promise<void>((resolve) => void systemClock.after(RETRY_MS, resolve));
    }
    if (leftMs === 0) return;
  }
}

function isSettled(state: NodeRollout["state"], isOnlineOnly: boolean): boolean {
  return state === "applied" || state === "failed" || (isOnlineOnly && state === "offline");
}

function* queriesOf(nodes: readonly { readonly name: string; readonly version: number }[]): Generator<string> {
  for (let at = 0; at < nodes.length; at += MAX_NODES) {
    yield nodes.slice(at, at + MAX_NODES).map(({ name, version }) => `node=${name}:${version}`).join("&");
  }
}

/** Why a node does not serve the version that is waited for, as a part of a sentence. */
export function faultOf({ name, version, state, instances }: NodeRollout): string {
  if (state === "offline") return `${name} is offline`;
  if (state === "pending") return `${name} has not acknowledged version ${version}`;
  const failures = instances.filter((item) => item.ok === false && (item.version ?? 0) >= version);
  const reasons = failures.map(({ instance, error }) => `${instance === "" ? "" : `${instance}: `}${error}`);
  return `${name} has failed: ${reasons.join("; ")}`;
}
