/** How far the agents of each node are with its config, in memory: figures are made of it. */
import { type Acknowledgement, MAX_INSTANCES_PER_NODE } from "../../store/mod.ts";

/** Nodes that listen, and of which an agent has not applied the newest config. */
export interface LagFigures {
  readonly nodes: number;
  /** Milliseconds for which the one of them that has waited longest has done so; 0 without any. */
  readonly longestMs: number;
}

/** A node that listens: its agents that do, and the version that they are to apply. */
export interface ListeningNode {
  readonly name: string;
  readonly instances: readonly string[];
  readonly wanted: number;
}

export class ConfigStates {
  /** By node and instance, the version that it runs. */
  readonly #versions = new Map<string, Map<string, number>>();
  /** By node, since when one of its agents is behind. */
  #behindSince = new Map<string, number>();

  constructor(acknowledgements: readonly Acknowledgement[]) {
    for (const { node, instance, version, error, applied } of acknowledgements) {
      const running = error === null ? version : applied;
      if (running !== undefined) this.applied(node, instance, running);
    }
  }

  /** The version that an instance runs; undefined where it is not known. */
  appliedBy(node: string, instance: string): number | undefined {
    return this.#versions.get(node)?.get(instance);
  }

  /** An instance runs that version from now on. */
  applied(node: string, instance: string, version: number): void {
    const instances = this.#versions.get(node) ?? new Map<string, number>();
    this.#versions.set(node, instances);
    // Behind the others: the first one has been silent for longest.
    instances.delete(instance);
    instances.set(instance, version);
    if (instances.size > MAX_INSTANCES_PER_NODE) instances.delete(instances.keys().next().value!);
  }

  /** A node that listens has another version. */
  changed(node: string, now: number): void {
    if (!this.#behindSince.has(node)) this.#behindSince.set(node, now);
  }

  /** An agent of a node that listens has applied something. */
  settle(node: ListeningNode): void {
    if (!this.#isBehind(node)) this.#behindSince.delete(node.name);
  }

  forget(node: string): void {
    this.#versions.delete(node);
    this.#behindSince.delete(node);
  }

  /** @param listening all nodes that listen; of the others it is forgotten since when they are behind */
  figures(listening: Iterable<ListeningNode>, now: number): LagFigures {
    const behindSince = new Map<string, number>();
    let longestMs = 0;
    for (const node of listening) {
      if (!this.#isBehind(node)) continue;
      const since = this.#behindSince.get(node.name) ?? now;
      behindSince.set(node.name, since);
      longestMs = Math.max(longestMs, now - since);
    }
    this.#behindSince = behindSince;
    return { nodes: behindSince.size, longestMs };
  }

  #isBehind({ name, instances, wanted }: ListeningNode): boolean {
    const versions = this.#versions.get(name);
    return instances.some((instance) => (versions?.get(instance) ?? 0) < wanted);
  }
}
