/**
 * The streams on which agents listen to their edge. Each agent of a node has at most one: a new one ends the old one.
 * Messages are sent to a node, on all of its streams.
 *
 *     send(node, message) ──┬─▶ sink of instance a        nobody waits: a sink that falls behind is cut off
 *                           ├─▶ sink of instance b
 *                           └─▶ history, for those that come back with the id of their last event
 *
 * Ids of events are those of the feed: the run of the edge, and a number. All nodes share one count.
 */
import { type Clock, systemClock } from "../base/mod.ts";
import { formatEventId, parseEventId } from "../events/mod.ts";
import { concat } from "../memory/mod.ts";
import { PushHistory } from "./history.ts";
import { KeepAlive, type KeepAliveMember } from "./keep_alive.ts";
import { bytesOfMessage, connectedBytes, isReplayed, keepAliveBytes, type PushMessage } from "./messages.ts";
import { type PushSink, PushStreamError } from "./sink.ts";

export interface PushRegistryOptions {
  /** The newest version of a node's config, for agents that may have missed one; null for a node that is gone. */
  versionOf(nodeId: string): number | null;
  /** Names this run of the edge in the ids of events: lower-case letters and digits. Default: drawn. */
  boot?: string;
  /** Streams at one time. Default 16,384. */
  maxStreams?: number;
  /** Those of one node. Default 64. */
  maxStreamsPerNode?: number;
  /** Bytes that one stream's reader may leave untaken before it is cut off. Default 512 KiB. */
  maxBacklogBytes?: number;
  /** Messages that are kept for agents that come back, of all nodes together. Default 2,048. */
  maxKeptMessages?: number;
  /** Milliseconds between two signs of life of a stream. Default 30,000. */
  keepAliveMs?: number;
  clock?: Clock;
}

export interface RegisterOptions {
  /** Which one of the node's agents it is. Default: the one without a name. */
  instance?: string;
  /** That of the last event that it has seen: it gets what came since then. Default: it gets what comes from now on. */
  lastEventId?: string;
  /** The public id of the token that it showed: the stream ends with it. Default: there is none. */
  tokenId?: string | null;
}

export const DEFAULT_MAX_STREAMS = 16_384;
export const DEFAULT_MAX_STREAMS_PER_NODE = 64;
/** More than all messages that are kept, which an agent may get at once. */
export const DEFAULT_MAX_BACKLOG_BYTES = 512 * 1024;
export const DEFAULT_MAX_KEPT_MESSAGES = 2_048;
export const DEFAULT_KEEP_ALIVE_MS = 30_000;

class Subscription implements KeepAliveMember {
  slot = 0;
  /** Untaken bytes when its sign of life was due last. */
  backlogBytes = 0;
  readonly nodeId: string;
  readonly instance: string;
  readonly tokenId: string | null;
  readonly sink: PushSink;

  constructor(nodeId: string, instance: string, tokenId: string | null, sink: PushSink) {
    this.nodeId = nodeId;
    this.instance = instance;
    this.tokenId = tokenId;
    this.sink = sink;
  }
}

export class PushRegistry {
  readonly boot: string;
  readonly #versionOf: (nodeId: string) => number | null;
  readonly #maxStreams: number;
  readonly #maxStreamsPerNode: number;
  readonly #maxBacklogBytes: number;
  readonly #history: PushHistory;
  readonly #keepAlive: KeepAlive<Subscription>;
  /** By node, and in it by instance. */
  readonly #nodes = new Map<string, Map<string, Subscription>>();
  #size = 0;
  #cutOffs = 0;
  /** The number of the newest event; 0 before the first. */
  #newest = 0;
  #isClosed = false;

  constructor(options: PushRegistryOptions) {
    this.boot = options.boot ?? crypto.randomUUID().replaceAll("-", "").slice(0, 10);
    this.#versionOf = (nodeId) => options.versionOf(nodeId);
    this.#maxStreams = options.maxStreams ?? DEFAULT_MAX_STREAMS;
    this.#maxStreamsPerNode = options.maxStreamsPerNode ?? DEFAULT_MAX_STREAMS_PER_NODE;
    this.#maxBacklogBytes = options.maxBacklogBytes ?? DEFAULT_MAX_BACKLOG_BYTES;
    this.#history = new PushHistory(options.maxKeptMessages ?? DEFAULT_MAX_KEPT_MESSAGES);
    const { clock = systemClock, keepAliveMs = DEFAULT_KEEP_ALIVE_MS } = options;
    this.#keepAlive = new KeepAlive(clock, keepAliveMs, (stream) => this.#giveSign(stream));
  }

  /** Streams that are open. */
  get size(): number {
    return this.#size;
  }

  /** Streams that were cut off since the start, because nobody took what was written. */
  get cutOffs(): number {
    return this.#cutOffs;
  }

  /** Nodes with a stream. */
  get nodeIds(): Iterable<string> {
    return this.#nodes.keys();
  }

  /** The instances of a node that have a stream; `""` stands for the one without a name. */
  instancesOf(nodeId: string): readonly string[] {
    return [...this.#nodes.get(nodeId)?.keys() ?? []];
  }

  /**
   * Sends to `sink` what is for the node from now on, behind what it has missed. The older stream of the same instance
   * ends.
   *
   * @returns why that cannot be, as a sentence without full stop; null where it is done. The sink is then the registry's,
   *   which closes it, until it is unregistered.
   */
  register(nodeId: string, sink: PushSink, options: RegisterOptions = {}): string | null {
    const { instance = "", lastEventId = "", tokenId = null } = options;
    const streams = this.#nodes.get(nodeId) ?? new Map<string, Subscription>();
    const old = streams.get(instance);
    if (old === undefined) {
      const refusal = this.#refusalOfMore(streams.size);
      if (refusal !== null) return refusal;
    } else this.#end(old);
    const stream = new Subscription(nodeId, instance, tokenId, sink);
    // The old one may have been the node's last.
    this.#nodes.set(nodeId, streams.set(instance, stream));
    this.#size++;
    this.#keepAlive.add(stream);
    this.#write(stream, joined([connectedBytes, ...this.#missed(nodeId, lastEventId)]));
    return null;
  }

  /** The reader of `sink` has gone. Does nothing where the sink is not registered any more, as after a newer stream. */
  unregister(nodeId: string, sink: PushSink): void {
    for (const stream of this.#nodes.get(nodeId)?.values() ?? []) {
      if (stream.sink === sink) return this.#remove(stream);
    }
  }

  /** Sends to all streams of a node. @returns to how many */
  send(nodeId: string, message: PushMessage): number {
    if (this.#isClosed) return 0;
    const bytes = this.#bytesOf(nodeId, message);
    return this.#sendTo(this.#nodes.get(nodeId), bytes);
  }

  /** Sends to all streams of all nodes. @returns to how many */
  broadcast(message: PushMessage): number {
    if (this.#isClosed) return 0;
    const bytes = this.#bytesOf(null, message);
    let sent = 0;
    for (const streams of this.#nodes.values()) sent += this.#sendTo(streams, bytes);
    return sent;
  }

  /** Ends the streams that were opened with a token. */
  closeToken(tokenId: string): void {
    for (const streams of this.#nodes.values()) {
      for (const stream of streams.values()) if (stream.tokenId === tokenId) this.#end(stream);
    }
  }

  /** The node is gone: ends its streams. */
  forget(nodeId: string): void {
    for (const stream of this.#nodes.get(nodeId)?.values() ?? []) this.#end(stream);
    this.#history.forget(nodeId);
  }

  /** Ends all streams, and takes no more. */
  close(): void {
    this.#isClosed = true;
    for (const streams of this.#nodes.values()) for (const stream of streams.values()) this.#end(stream);
  }

  #refusalOfMore(streamsOfNode: number): string | null {
    if (this.#isClosed) return "The edge is shutting down";
    if (streamsOfNode >= this.#maxStreamsPerNode) {
      return `The node has ${streamsOfNode} push streams, as many as it may have`;
    }
    return this.#size < this.#maxStreams ? null : `The edge has ${this.#size} push streams, as many as it takes`;
  }

  /** What a stream gets that begins behind an event: what was missed, or word that it cannot be told. */
  #missed(nodeId: string, lastEventId: string): Uint8Array[] {
    if (lastEventId === "") return [];
    const last = parseEventId(lastEventId);
    const isKnown = last?.boot === this.boot && last.number <= this.#newest;
    const missed = isKnown ? this.#history.since(nodeId, last.number) : null;
    if (missed !== null) return missed;
    const version = this.#versionOf(nodeId) ?? 0;
    return [bytesOfMessage(this.#nextId(), { type: "config_changed", version, reason: "resync" })];
  }

  /** @param nodeId null: it is for all */
  #bytesOf(nodeId: string | null, message: PushMessage): Uint8Array {
    const bytes = bytesOfMessage(this.#nextId(), message);
    if (isReplayed(message)) this.#history.add(this.#newest, nodeId, bytes);
    return bytes;
  }

  #nextId(): string {
    return formatEventId({ boot: this.boot, number: ++this.#newest });
  }

  #sendTo(streams: ReadonlyMap<string, Subscription> | undefined, bytes: Uint8Array): number {
    let sent = 0;
    for (const stream of streams?.values() ?? []) {
      if (stream.sink.backlogBytes + bytes.length > this.#maxBacklogBytes) this.#cutOff(stream);
      else if (this.#write(stream, bytes)) sent++;
    }
    return sent;
  }

  /** A stream whose reader has taken nothing since the last time is cut off: it holds memory, and may be dead. */
  #giveSign(stream: Subscription): void {
    const { backlogBytes } = stream.sink;
    const isStalled = stream.backlogBytes > 0 && backlogBytes >= stream.backlogBytes;
    stream.backlogBytes = backlogBytes;
    if (isStalled) return this.#cutOff(stream);
    // Behind what is not taken yet, a sign of life says nothing.
    if (backlogBytes === 0) this.#write(stream, keepAliveBytes);
  }

  /** Returns false where the sink has failed. */
  #write(stream: Subscription, bytes: Uint8Array): boolean {
    try {
      stream.sink.write(bytes);
      return true;
    } catch {
      // Its reader has gone, which it did not say.
      this.#remove(stream);
      return false;
    }
  }

  #cutOff(stream: Subscription): void {
    this.#cutOffs++;
    const who = stream.instance === "" ? stream.nodeId : `${stream.nodeId} (${stream.instance})`;
    const reason = `The push stream of ${who} was cut off: nobody takes what is written`;
    this.#end(stream, new PushStreamError("slow_subscriber", reason));
  }

  #end(stream: Subscription, error?: Error): void {
    this.#remove(stream);
    try {
      stream.sink.close(error);
    } catch {
      // It has ended by itself.
    }
  }

  #remove(stream: Subscription): void {
    const { nodeId, instance } = stream;
    const streams = this.#nodes.get(nodeId);
    if (streams?.get(instance) !== stream) return;
    streams.delete(instance);
    if (streams.size === 0) this.#nodes.delete(nodeId);
    this.#size--;
    this.#keepAlive.remove(stream);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : concat(parts, parts.reduce((sum, { length }) => sum + length, 0));
}
