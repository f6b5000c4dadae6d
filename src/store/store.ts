/**
 * The contract of a store, whatever keeps it: one file beside the edge, or a cluster. Everything is asynchronous. All
 * records share one counter of revisions: each commit takes the next one, and every record in it gets that revision.
 */
import { nameErrorClass, RunnelError, type RunnelErrorInit } from "../base/mod.ts";
import type { Acknowledgement, AuditEntry, Kind, Records, Stored } from "./records.ts";

/** One record to write or to remove. */
export type Change = {
  readonly [K in Kind]: {
    readonly kind: K;
    readonly key: string;
    /** Null removes the record. */
    readonly value: Records[K] | null;
    /** The revision that it must have now; 0: it must not exist. Default: whatever it has. */
    readonly ifRevision?: number;
  };
}[Kind];

/** A commit, as those who watch are told of it. */
export interface Commit {
  readonly revision: number;
  /** Null: more commits of other programs were missed than are kept. Everything is to be read again. */
  readonly changes: readonly Change[] | null;
}

/** A record as it was after a commit. `value` is null where that removed it. */
export interface Version<K extends Kind = Kind> {
  readonly revision: number;
  readonly value: Records[K] | null;
}

export interface ListOptions {
  /** Begins behind this key. */
  readonly after?: string;
  /** Records at most. Default: all. */
  readonly limit?: number;
}

export interface Store {
  /** Differs for each store, and is a new one after a backup was restored: revisions of two epochs do not compare. */
  readonly epoch: string;

  /** That of the last commit; 0 before the first. */
  revision(): Promise<number>;

  get<K extends Kind>(kind: K, key: string): Promise<Stored<K> | null>;

  /** Sorted by key, in the order of the bytes of UTF-8. */
  list<K extends Kind>(kind: K, options?: ListOptions): Promise<Stored<K>[]>;

  /**
   * Writes all of `changes`, or none. Resolves to their revision once they are on the disk. A record that others name
   * (a token its node, a hostname its tunnel, a tunnel its nodes) can only be removed with them.
   *
   * @param audit is written with them
   * @throws {StoreError} `conflict`, `reference`, `unavailable`
   */
  commit(changes: readonly Change[], audit: AuditEntry): Promise<number>;

  /**
   * Calls `onCommit` after each commit that ends after this call, in their order: those of this store object at once,
   * those of other programs within 1 s. The returned function ends that. Whoever lists records first and watches then
   * misses what lies between: watch first, and expect to be told of what was listed already.
   */
  watch(onCommit: (commit: Commit) => void): () => void;

  /** The record as it was at `revision`; null where it did not exist, or where that is longer ago than is kept. */
  versionAt<K extends Kind>(kind: K, key: string, revision: number): Promise<Version<K> | null>;

  /** All records of a kind as they were at `revision`, sorted as by `list`; null where that is longer ago than is kept. */
  listAt<K extends Kind>(kind: K, revision: number): Promise<Stored<K>[] | null>;

  /**
   * Replaces what this instance of the node acknowledged before. Of a node with more than `MAX_INSTANCES_PER_NODE`, the
   * oldest acknowledgement goes.
   *
   * @throws {StoreError} `reference`, `unavailable`
   */
  acknowledge(acknowledgement: Acknowledgement): Promise<void>;

  /** Calls `onAcknowledged` behind each `acknowledge` of this store object. The returned function ends that. */
  watchAcknowledgements(onAcknowledged: (acknowledgement: Acknowledgement) => void): () => void;

  /** Of all instances of `node`; without it, of all nodes. */
  acknowledgements(node?: string): Promise<Acknowledgement[]>;

  /** The newest entries first. @param limit of entries, default 100 */
  audit(limit?: number): Promise<AuditEntry[]>;

  /**
   * Writes everything to a new file, which only its owner can read.
   *
   * @throws {StoreError} `unavailable` where that cannot be, or the file exists
   */
  backup(path: string): Promise<void>;

  /** Every later call is refused as `unavailable`. */
  close(): Promise<void>;
}

export type StoreErrorCode =
  /** A record does not have the revision that the change asks for. `key` and `kind` say which. */
  | "conflict"
  /** A record would name one that does not exist. */
  | "reference"
  /** The disk is full, the file is locked or cannot be used. Nothing was written; it may pass. */
  | "unavailable"
  /** Another program uses the file. */
  | "in_use"
  /** The file was written by a newer program. */
  | "newer_store"
  /** The file is no store, or is damaged. */
  | "damaged_store";

export class StoreError extends RunnelError {
  static {
    nameErrorClass(this, "StoreError");
  }

  declare readonly code: StoreErrorCode;
  /** Of a `conflict`: the record that was changed meanwhile. */
  readonly subject: { readonly kind: Kind; readonly key: string } | null;

  constructor(
    init: Omit<RunnelErrorInit, "initiator"> & {
      code: StoreErrorCode;
      subject?: { readonly kind: Kind; readonly key: string };
    },
  ) {
    super({ ...init, initiator: "library" });
    this.subject = init.subject ?? null;
  }
}
