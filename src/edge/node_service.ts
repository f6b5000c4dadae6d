/** What the edge asks of whoever knows the nodes. Nodes are named by their names. */
import type { ProblemCode } from "../http/mod.ts";

/** What the agents of a node are told to serve, under the keys that they get. */
export interface ToldConfig {
  readonly nodeId: string;
  readonly version: number;
  readonly checksum: string;
  readonly tunnels: readonly object[];
}

/** How an agent listens. */
export interface PushRequest {
  /** Which one of the node's agents it is; empty where it does not say. */
  readonly instance: string;
  /** That of the last event that it has seen; empty where there is none. */
  readonly lastEventId: string;
  /** The public id of its token: the stream ends with it. */
  readonly tokenId: string | null;
}

/** What an agent has done with a version of its config. */
export interface ConfigResult {
  readonly instance: string;
  readonly version: number;
  readonly checksum: string;
  /** Why it could not be applied; null where it was. */
  readonly error: string | null;
}

export interface NodeService {
  /** Versions of two epochs do not compare. */
  readonly epoch: string;
  /** The version of the node's config; null for a node that is gone. */
  versionOf(node: string): number | null;
  configOf(node: string): ToldConfig | null;
  /** Opens a stream of events, which the edge sends as it is; or says why not, as a sentence without full stop. */
  listen(node: string, request: PushRequest): ReadableStream<Uint8Array> | string;
  /** Resolves once it is stored; to the problem where it cannot be. */
  acknowledge(node: string, result: ConfigResult): Promise<{ code: ProblemCode; detail: string } | null>;
  /** Ends all streams of events, and opens no more: the edge shuts down. */
  endStreams(): void;
}
