/** Opening the file of a store: makes it where there is none, and brings an older one up to date. */
import { randomBytes } from "node:crypto";
import { access, link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { type Clock, isSystemError, systemClock } from "../../base/mod.ts";
import { type Store, StoreError } from "../store.ts";
import { isBusy, storeError } from "./faults.ts";
import { untilRetry } from "./retry.ts";
import { migrations } from "./schema.ts";
import { SqliteStore } from "./sqlite_store.ts";

export interface SqliteStoreOptions {
  /** The file. It is made, mode 0600, with its folder, mode 0700, where it is missing. */
  path: string;
  /** Milliseconds for which a write waits for another program that holds the file. Default 2,000. */
  busyMs?: number;
  /** Revisions whose records can still be read (`versionAt`). Default 1,000. */
  keptRevisions?: number;
  /** Entries of the audit log that are kept. Default 10,000. */
  auditEntries?: number;
  clock?: Clock;
}

/** `RNLS`: marks the file as one of ours (https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x524e4c53;

/**
 * Opens the store in a file. A new one is made whole: the file is there only once its tables are. Before an older one is
 * brought up to date, it is copied to `PATH.vN.bak`, with N for the version of its tables.
 *
 * @throws {StoreError} `newer_store`, `damaged_store`, `unavailable`
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, busyMs = 2_000, keptRevisions = 1_000, auditEntries = 10_000, clock = systemClock } = options;
  try {
    const Database = await loadSqlite();
    if (!await exists(path)) await createStore(path);
    const deadline = clock.now() + busyMs;
    for (;;) {
      const database = new Database(path, { enableForeignKeyConstraints: true });
      try {
        await migrate(database, path);
        return new SqliteStore(database, { busyMs, keptRevisions, auditEntries, clock });
      } catch (error) {
        database.close();
        if (!isBusy(error) || clock.now() >= deadline) throw error;
      }
      await untilRetry(clock);
    }
  } catch (error) {
    throw storeError(`Cannot open the store ${path}`, error);
  }
}

/** Loaded where it is needed: earlier versions of Node lack it, and later ones warn of it. */
export async function loadSqlite(): Promise<typeof DatabaseSync> {
  try {
    return (await import("node:sqlite")).DatabaseSync;
  } catch (cause) {
    const reason = "This runtime has no node:sqlite, which Node has from 22.13 on";
    throw new StoreError({ code: "unavailable", reason, cause });
  }
}

/** Where two programs make the same store at one time, the second one finds that of the first. */
async function createStore(path: string): Promise<void> {
  const draft = draftOf(path);
  try {
    const Database = await loadSqlite();
    await createFile(draft);
    const database = new Database(draft, { enableForeignKeyConstraints: true });
    try {
      await migrate(database, draft, { isNew: true });
    } finally {
      database.close();
    }
    await link(draft, path);
  } catch (error) {
    if (!isSystemError(error, "EEXIST")) throw error;
  } finally {
    await removeDraft(draft);
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return false;
    throw error;
  }
}

function draftOf(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}.tmp`;
}

async function removeDraft(draft: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm"]) await rm(draft + suffix, { force: true });
}

/** Makes the file, for its owner alone, and its folder where they are missing. */
export async function createFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await (await open(path, "a", 0o600)).close();
}

/**
 * Brings the tables up to date.
 *
 * @param path of the file, for messages
 * @param options `keepsCopy`: copies an older file first, to `PATH.vN.bak`. Default true. `isNew`: the file is empty, which
 *   none is in which something was kept. Default false.
 * @throws {StoreError} `newer_store`, `damaged_store`, and what SQLite throws
 */
export async function migrate(
  database: DatabaseSync,
  path: string,
  { keepsCopy = true, isNew = false } = {},
): Promise<void> {
  const version = readPragma(database, "user_version");
  const id = readPragma(database, "application_id");
  if (id !== APPLICATION_ID && !isNew) {
    throw new StoreError({ code: "damaged_store", reason: `The file ${path} is no store of Runnel` });
  }
  if (version > migrations.length) {
    const reason = `The store ${path} was written by a newer program: its tables have version ${version}, and this ` +
      `program knows ${migrations.length}. Start the newer program, or restore a backup`;
    throw new StoreError({ code: "newer_store", reason });
  }
  // A checkpoint is synchronous, too (https://sqlite.org/pragma.html#pragma_synchronous).
  for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "busy_timeout = 0"]) {
    database.prepare(`PRAGMA ${pragma}`).get();
  }
  if (version === migrations.length) return;
  if (version > 0 && keepsCopy) await copyBefore(database, `${path}.v${version}.bak`);
  run(database, "BEGIN IMMEDIATE");
  try {
    // Another program may have done it meanwhile.
    for (const step of migrations.slice(readPragma(database, "user_version"))) database.exec(step);
    run(database, "INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", newEpoch());
    run(database, `PRAGMA application_id = ${APPLICATION_ID}`);
    run(database, `PRAGMA user_version = ${migrations.length}`);
    run(database, "COMMIT");
  } catch (error) {
    if (database.isTransaction) run(database, "ROLLBACK");
    throw error;
  }
}

async function copyBefore(database: DatabaseSync, path: string): Promise<void> {
  const draft = draftOf(path);
  try {
    // SQLite writes to an empty file, and leaves its mode.
    await createFile(draft);
    run(database, "VACUUM INTO ?", draft);
    await rename(draft, path);
  } finally {
    await removeDraft(draft);
  }
}

/** Random, so that two stores never have the same. */
export function newEpoch(): string {
  return randomBytes(8).toString("hex");
}

function readPragma(database: DatabaseSync, name: string): number {
  return database.prepare(`PRAGMA ${name}`).get()![name] as number;
}

/** Unlike `exec`, a prepared statement tells the result code on Deno, too. */
function run(database: DatabaseSync, sql: string, ...values: string[]): void {
  database.prepare(sql).run(...values);
}
