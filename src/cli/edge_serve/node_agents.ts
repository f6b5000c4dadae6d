/** What the agents of nodes ask of their edge and are told by it, out of the control plane. */
import { afterTickEnd, type Clock, systemClock, type TickListener } from "../../base/mod.ts";
import { type ConfigChangeReason, type Control, nodeConfigOf, type WallClock } from "../../control/mod.ts";
import type { ConfigResult, NodeService, PushRequest, ToldConfig } from "../../edge/mod.ts";
import type { EventFeed } from "../../events/mod.ts";
import type { ProblemCode } from "../../http/mod.ts";
import type { PushFigures } from "../../metrics/mod.ts";
import { PushRegistry, PushStream } from "../../push/mod.ts";
import { type Acknowledgement, type NodeRecord, StoreError } from "../../store/mod.ts";
import { ConfigStates, type ListeningNode } from "./config_states.ts";

export interface NodeAgentsParts {
  control: Control;
  feed: EventFeed;
  wallClock: WallClock;
  /** What is stored of all nodes. */
  acknowledgements: readonly Acknowledgement[];
  clock?: Clock;
}

export class NodeAgents implements NodeService, TickListener {
  readonly push: PushRegistry;
  readonly #control: Control;
  readonly #feed: EventFeed;
  readonly #wallClock: WallClock;
  readonly #clock: Clock;
  readonly #states: ConfigStates;
  /** By node, the newest version of which its agents were told. */
  readonly #told = new Map<string, number>();
  /** Nodes that were written in this tick, with the revision: whoever has done it may tell why. */
  readonly #written = new Map<string, number>();
  readonly #stopWatching: () => void;
  #isLeaving = false;

  constructor({ control, feed, wallClock, acknowledgements, clock = systemClock }: NodeAgentsParts) {
    this.#control = control;
    this.#feed = feed;
    this.#wallClock = wallClock;
    this.#clock = clock;
    this.#states = new ConfigStates(acknowledgements);
    this.push = new PushRegistry({ versionOf: (node) => this.versionOf(node), boot: feed.boot, clock });
    this.#stopWatching = control.directory.onChange((kind, before, after, revision) => {
      if (kind !== "node") return;
      if (after === null) this.#forget((before as NodeRecord).name);
      else this.#noteWritten((after as NodeRecord).name, revision);
    });
  }

  get epoch(): string {
    return this.#control.store.epoch;
  }

  versionOf(node: string): number | null {
    return this.#control.directory.nodes.get(node)?.revision ?? null;
  }

  configOf(node: string): ToldConfig | null {
    return nodeConfigOf(this.#control.directory, node);
  }

  /** For `Control.onConfigChanged`. */
  configChanged(node: string, version: number, reason: ConfigChangeReason | "resync"): void {
    this.#told.set(node, version);
    const sent = this.push.send(node, { type: "config_changed", version, reason });
    if (sent > 0) this.#states.changed(node, this.#clock.now());
  }

  listen(node: string, request: PushRequest): ReadableStream<Uint8Array> | string {
    const sink = new PushStream((left) => this.push.unregister(node, left));
    return this.push.register(node, sink, request) ?? sink.stream;
  }

  async acknowledge(
    node: string,
    { instance, version, checksum, error }: ConfigResult,
  ): Promise<{ code: ProblemCode; detail: string } | null> {
    // The agent tries it again, and reaches the edge that has the store then.
    if (this.#isLeaving) return { code: "store_unavailable", detail: "This edge is shutting down" };
    const newest = this.versionOf(node) ?? 0;
    if (version > newest) {
      return { code: "unknown_version", detail: `The newest version is ${newest}, and not ${version}` };
    }
    const applied = error === null ? version : this.#states.appliedBy(node, instance);
    const at = this.#wallClock.text();
    try {
      await this.#control.store.acknowledge({ node, instance, version, checksum, error, applied, at });
    } catch (failure) {
      if (!(failure instanceof StoreError)) throw failure;
      if (failure.code !== "reference") return { code: "store_unavailable", detail: failure.reason };
      return { code: "not_a_node", detail: `There is no node ${node} any more` };
    }
    const ok = error === null;
    if (ok) {
      this.#states.applied(node, instance, version);
      this.#states.settle(this.#listeningNode(node));
    }
    this.#feed.publish("config_acknowledged", { node, instance, version, ok, error: error ?? undefined });
    return null;
  }

  /** Nothing is written to the store from now on. */
  leave(): void {
    this.#isLeaving = true;
  }

  endStreams(): void {
    this.push.close();
  }

  /** For metrics. */
  figures(): PushFigures {
    const { size: streams, cutOffs } = this.push;
    return { streams, cutOffs, behind: this.#states.figures(this.#listening(), this.#clock.now()) };
  }

  /** What was written was done here, and told, or by another edge on the same store. */
  onTickEnd(): void {
    const written = [...this.#written];
    this.#written.clear();
    for (const [node, revision] of written) {
      if ((this.#told.get(node) ?? 0) < revision) this.configChanged(node, revision, "resync");
    }
  }

  close(): void {
    this.#stopWatching();
    this.push.close();
  }

  *#listening(): Iterable<ListeningNode> {
    for (const name of this.push.nodeIds) yield this.#listeningNode(name);
  }

  #listeningNode(name: string): ListeningNode {
    return { name, instances: this.push.instancesOf(name), wanted: this.versionOf(name) ?? 0 };
  }

  #noteWritten(node: string, revision: number): void {
    if (this.#written.size === 0) afterTickEnd(this);
    this.#written.set(node, revision);
  }

  #forget(node: string): void {
    this.#written.delete(node);
    this.#told.delete(node);
    this.#states.forget(node);
    this.push.forget(node);
  }
}
