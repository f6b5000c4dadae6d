/** A store in one SQLite file. A commit is on the disk when it resolves: WAL with `synchronous = FULL`. */
import { open, rm } from "node:fs/promises";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock, Timer } from "../../base/mod.ts";
import { type Acknowledgement, type AuditEntry, type Kind, MAX_INSTANCES_PER_NODE, type Stored } from "../records.ts";
import { type Change, type Commit, type ListOptions, type Store, StoreError, type Version } from "../store.ts";
import { isBusy, storeError } from "./faults.ts";
import { untilRetry } from "./retry.ts";
import { parseRecord, statementsFor, titles } from "./schema.ts";

/** After how many revisions versions and audit entries beyond the limits are removed. */
const PRUNE_INTERVAL = 100;
/** Milliseconds between two looks at what other programs have committed. */
const LOOK_MS = 1_000;

interface Limits {
  readonly busyMs: number;
  readonly keptRevisions: number;
  readonly auditEntries: number;
  readonly clock: Clock;
}

export class SqliteStore implements Store {
  readonly epoch: string;
  readonly #database: DatabaseSync;
  readonly #limits: Limits;
  readonly #byKind: Readonly<Record<Kind, ReturnType<typeof statementsFor>>>;
  readonly #statements: ReturnType<typeof otherStatements>;
  readonly #watchers = new Set<(commit: Commit) => void>();
  readonly #acknowledgementWatchers = new Set<(acknowledgement: Acknowledgement) => void>();
  /** The newest revision of which those who watch know. */
  #toldRevision: number;
  #looking: Timer | null = null;
  #isClosed = false;

  /** @param database of the current version. The store closes it. */
  constructor(database: DatabaseSync, limits: Limits) {
    this.#database = database;
    this.#limits = limits;
    this.#byKind = {
      node: statementsFor(database, "node"),
      token: statementsFor(database, "token"),
      tunnel: statementsFor(database, "tunnel"),
      hostname: statementsFor(database, "hostname"),
      project: statementsFor(database, "project"),
    };
    this.#statements = otherStatements(database);
    this.epoch = this.#statements.meta.get("epoch")!.value as string;
    this.#toldRevision = this.#lastRevision();
  }

  revision(): Promise<number> {
    return this.#read(() => this.#lastRevision());
  }

  get<K extends Kind>(kind: K, key: string): Promise<Stored<K> | null> {
    return this.#read(() => {
      const row = this.#byKind[kind].get.get(key);
      if (row === undefined) return null;
      return { key, value: parseRecord<K>(row.value), revision: row.revision as number };
    });
  }

  list<K extends Kind>(kind: K, { after = "", limit = -1 }: ListOptions = {}): Promise<Stored<K>[]> {
    return this.#read(() =>
      this.#byKind[kind].list.all(after, limit).map((row) => ({
        key: row.key as string,
        value: parseRecord<K>(row.value),
        revision: row.revision as number,
      }))
    );
  }

  commit(changes: readonly Change[], audit: AuditEntry): Promise<number> {
    return this.#write(() => {
      const { missed, revision } = this.#transaction(() => {
        const last = this.#lastRevision();
        const missed = this.#commitsOfOthers(last);
        const next = last + 1;
        for (const change of changes) this.#apply(change, next);
        this.#statements.setMeta.run(String(next), "revision");
        this.#statements.addAudit.run(JSON.stringify(audit));
        if (next % PRUNE_INTERVAL === 0) this.#prune(next);
        return { missed, revision: next };
      });
      this.#tell([...missed, { revision, changes }]);
      return revision;
    });
  }

  watch(onCommit: (commit: Commit) => void): () => void {
    // A function of its own, so that the same one can watch twice.
    const watcher = (commit: Commit) => onCommit(commit);
    this.#watchers.add(watcher);
    if (!this.#isClosed && this.#looking === null) this.#lookLater();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#stopLooking();
    };
  }

  versionAt<K extends Kind>(kind: K, key: string, revision: number): Promise<Version<K> | null> {
    return this.#read(() => {
      if (revision < this.#lastRevision() - this.#limits.keptRevisions) return null;
      const row = this.#statements.versionAt.get(kind, key, revision);
      if (row === undefined) return null;
      return { revision: row.revision as number, value: row.value === null ? null : parseRecord<K>(row.value) };
    });
  }

  listAt<K extends Kind>(kind: K, revision: number): Promise<Stored<K>[] | null> {
    return this.#read(() => {
      if (revision < this.#lastRevision() - this.#limits.keptRevisions) return null;
      return this.#statements.listAt.all(kind, revision).map((row) => ({
        key: row.key as string,
        value: parseRecord<K>(row.value),
        revision: row.revision as number,
      }));
    });
  }

  async acknowledge(acknowledgement: Acknowledgement): Promise<void> {
    const { node, instance } = acknowledgement;
    const json = JSON.stringify(acknowledgement);
    await this.#write(() =>
      this.#transaction(() => {
        this.#statements.acknowledge.run(node, instance, json);
        this.#statements.pruneInstances.run(node, node, instance, MAX_INSTANCES_PER_NODE);
      })
    );
    for (const onAcknowledged of this.#acknowledgementWatchers) queueMicrotask(() => onAcknowledged(acknowledgement));
  }

  watchAcknowledgements(onAcknowledged: (acknowledgement: Acknowledgement) => void): () => void {
    const watcher = (acknowledgement: Acknowledgement) => onAcknowledged(acknowledgement);
    this.#acknowledgementWatchers.add(watcher);
    return () => void this.#acknowledgementWatchers.delete(watcher);
  }

  acknowledgements(node?: string): Promise<Acknowledgement[]> {
    return this.#read(() => {
      const { acknowledgements, acknowledgementsOf } = this.#statements;
      const rows = node === undefined ? acknowledgements.all() : acknowledgementsOf.all(node);
      return rows.map((row) => JSON.parse(row.value as string) as Acknowledgement);
    });
  }

  audit(limit = 100): Promise<AuditEntry[]> {
    return this.#read(() =>
      this.#statements.audit.all(limit).map((row) => JSON.parse(row.value as string) as AuditEntry)
    );
  }

  async backup(path: string): Promise<void> {
    const action = "Cannot back up the store";
    // SQLite fills an empty file, too: so it is private from its first byte on, and never somebody else's.
    const file = await this.#guard(action, () => open(path, "wx", 0o600));
    try {
      await this.#guard(action, async () => {
        this.#statements.backup.run(path);
        // What VACUUM INTO writes is not on the disk when it returns.
        await file.sync();
      });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#database.close();
    this.#isClosed = true;
    this.#watchers.clear();
    this.#acknowledgementWatchers.clear();
    this.#stopLooking();
    return Promise.resolve();
  }

  #lastRevision(): number {
    return Number(this.#statements.meta.get("revision")!.value);
  }

  #apply({ kind, key, value, ifRevision }: Change, revision: number): void {
    const { get, put, remove } = this.#byKind[kind];
    if (ifRevision !== undefined && ((get.get(key)?.revision ?? 0) as number) !== ifRevision) {
      throw conflict(kind, key, ifRevision);
    }
    const json = value === null ? null : JSON.stringify(value);
    if (json === null) remove.run(key);
    else put.run(key, revision, json);
    this.#statements.addVersion.run(kind, key, revision, json);
  }

  #prune(revision: number): void {
    const { keptRevisions, auditEntries } = this.#limits;
    const oldest = revision - keptRevisions;
    this.#statements.pruneVersions.run(oldest, oldest);
    this.#statements.pruneRemoved.run(oldest);
    this.#statements.pruneAudit.run(auditEntries);
  }

  /** What other programs committed since those who watch were told, up to revision `last`. */
  #commitsOfOthers(last: number): Commit[] {
    const told = this.#toldRevision;
    if (last === told) return [];
    // Older removals may be forgotten already.
    if (told < last - this.#limits.keptRevisions) return [{ revision: last, changes: null }];
    const byRevision = new Map<number, Change[]>();
    for (const row of this.#statements.versionsAfter.all(told, last)) {
      const changes = byRevision.get(row.revision as number) ?? [];
      byRevision.set(row.revision as number, changes);
      changes.push(changeOf(row));
    }
    return Array.from(byRevision, ([revision, changes]) => ({ revision, changes }));
  }

  #tell(commits: readonly Commit[]): void {
    for (const commit of commits) {
      this.#toldRevision = commit.revision;
      // A watcher that throws is a mistake of its own: the commit stands.
      for (const onCommit of this.#watchers) queueMicrotask(() => this.#watchers.has(onCommit) && onCommit(commit));
    }
  }

  #lookLater(): void {
    this.#looking = this.#limits.clock.after(LOOK_MS, () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    try {
      this.#tell(this.#commitsOfOthers(this.#lastRevision()));
    } catch {
      // The file is held, or cannot be read now: the next look may succeed.
    }
  }

  #stopLooking(): void {
    this.#looking?.cancel();
    this.#looking = null;
  }

  #read<T>(read: () => T): Promise<T> {
    return this.#guard("Cannot read the store", read);
  }

  /** While another program holds the file, `write` is tried again. */
  async #write<T>(write: () => T): Promise<T> {
    const { clock, busyMs } = this.#limits;
    const deadline = clock.now() + busyMs;
    for (;;) {
      try {
        return write();
      } catch (error) {
        // Another program was faster: whoever tries again is to know of it.
        if (error instanceof StoreError && error.code === "conflict") this.#look();
        if (!isBusy(error) || clock.now() >= deadline) throw storeError("Cannot write to the store", error);
      }
      await untilRetry(clock);
    }
  }

  #transaction<T>(write: () => T): T {
    this.#checkOpen();
    const { begin, commit, rollback } = this.#statements;
    begin.run();
    try {
      const result = write();
      commit.run();
      return result;
    } catch (error) {
      // Some errors, such as a full disk, have ended the transaction already.
      if (this.#database.isTransaction) rollback.run();
      throw error;
    }
  }

  async #guard<T>(action: string, work: () => T | Promise<T>): Promise<T> {
    try {
      this.#checkOpen();
      return await work();
    } catch (error) {
      throw storeError(action, error);
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new StoreError({ code: "unavailable", reason: "The store is closed" });
  }
}

function conflict(kind: Kind, key: string, ifRevision: number): StoreError {
  const state = ifRevision === 0 ? "exists already" : "was changed meanwhile";
  const reason = `The ${titles[kind]} ${key} ${state}`;
  return new StoreError({ code: "conflict", reason, subject: { kind, key } });
}

function changeOf({ kind, key, value }: Record<string, unknown>): Change {
  return { kind, key, value: value === null ? null : parseRecord(value) } as Change;
}

/** The statements that are not for one kind of record. */
function otherStatements(database: DatabaseSync): Record<
  | "begin"
  | "commit"
  | "rollback"
  | "meta"
  | "setMeta"
  | "addVersion"
  | "versionAt"
  | "listAt"
  | "versionsAfter"
  | "pruneVersions"
  | "pruneRemoved"
  | "acknowledge"
  | "acknowledgements"
  | "acknowledgementsOf"
  | "pruneInstances"
  | "addAudit"
  | "audit"
  | "pruneAudit"
  | "backup",
  StatementSync
> {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    begin: prepare("BEGIN IMMEDIATE"),
    commit: prepare("COMMIT"),
    rollback: prepare("ROLLBACK"),
    meta: prepare("SELECT value FROM meta WHERE name = ?"),
    setMeta: prepare("UPDATE meta SET value = ? WHERE name = ?"),
    addVersion: prepare("INSERT OR REPLACE INTO versions (kind, key, revision, value) VALUES (?, ?, ?, ?)"),
    versionAt: prepare(`
      SELECT revision, value FROM versions WHERE kind = ? AND key = ? AND revision <= ?
      ORDER BY revision DESC LIMIT 1`),
    listAt: prepare(`
      SELECT key, revision, value FROM versions AS version WHERE kind = ? AND value IS NOT NULL AND revision = (
        SELECT max(revision) FROM versions WHERE kind = version.kind AND key = version.key AND revision <= ?)
      ORDER BY key`),
    versionsAfter: prepare(`
      SELECT kind, key, revision, value FROM versions WHERE revision > ? AND revision <= ? ORDER BY revision`),
    // The newest version before the limit is the record as it was then.
    pruneVersions: prepare(`
      DELETE FROM versions WHERE revision < ? AND EXISTS (
        SELECT 1 FROM versions AS newer WHERE newer.kind = versions.kind AND newer.key = versions.key
          AND newer.revision > versions.revision AND newer.revision <= ?)`),
    pruneRemoved: prepare("DELETE FROM versions WHERE revision < ? AND value IS NULL"),
    acknowledge: prepare(`
      INSERT INTO acknowledgements (node, instance, value) VALUES (?, ?, ?)
      ON CONFLICT (node, instance) DO UPDATE SET value = excluded.value`),
    pruneInstances: prepare(`
      DELETE FROM acknowledgements WHERE node = ? AND instance NOT IN (
        SELECT instance FROM acknowledgements WHERE node = ?
        ORDER BY instance = ? DESC, json_extract(value, '$.at') DESC LIMIT ?)`),
    acknowledgements: prepare("SELECT value FROM acknowledgements ORDER BY node, instance"),
    acknowledgementsOf: prepare("SELECT value FROM acknowledgements WHERE node = ? ORDER BY instance"),
    addAudit: prepare("INSERT INTO audit (value) VALUES (?)"),
    audit: prepare("SELECT value FROM audit ORDER BY id DESC LIMIT ?"),
    pruneAudit: prepare("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?"),
    backup: prepare("VACUUM INTO ?"),
  };
}
