/** Puts a backup in the place of a store. */
import { randomBytes } from "node:crypto";
import { chmod, chown, copyFile, link, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { isBusy, storeError } from "./faults.ts";
import { createFile, exists, loadSqlite, migrate, newEpoch } from "./open.ts";

/**
 * Makes the store `path` of a backup. What was there is kept as `PATH.replaced`, in place of an earlier one. The epoch is
 * a new one, since revisions after the backup are used again.
 *
 * @returns the file that has what was there; null where nothing was
 * @throws {StoreError} `in_use` where a program has the store open, else as `openSqliteStore`; `path` is then as it was
 */
export async function restoreBackup(backup: string, path: string): Promise<string | null> {
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await createFile(draft);
    await copyFile(backup, draft);
    await makePrivate(draft, dirname(path));
    await renew(draft, backup);
    return await replace(draft, path);
  } catch (error) {
    throw storeError(`Cannot restore the backup ${backup}`, error);
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) await rm(draft + suffix, { force: true });
  }
}

/** A copy has the mode of its original. It gets the owner of the folder, who may be another one than root. */
async function makePrivate(file: string, folder: string): Promise<void> {
  await chmod(file, 0o600);
  const [own, wanted] = await Promise.all([stat(file), stat(folder)]);
  if (own.uid !== wanted.uid || own.gid !== wanted.gid) await chown(file, wanted.uid, wanted.gid);
}

/** Checks the copy of a backup, brings it up to date and gives it a new epoch. */
async function renew(draft: string, backup: string): Promise<void> {
  const Database = await loadSqlite();
  const database = new Database(draft, { enableForeignKeyConstraints: true });
  try {
    const [fault] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
    if (fault !== "ok") {
      throw new StoreError({ code: "damaged_store", reason: `The backup ${backup} is damaged: ${fault}` });
    }
    await migrate(database, backup, { keepsCopy: false });
    database.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(newEpoch());
    // All of it in one file, without a log beside it.
    database.prepare("PRAGMA journal_mode = DELETE").get();
  } finally {
    database.close();
  }
}

/** Moves `draft` to `path`, while no other program can open what is there. */
async function replace(draft: string, path: string): Promise<string | null> {
  if (!await exists(path)) {
    await rename(draft, path);
    return null;
  }
  const kept = `${path}.replaced`;
  let held = await hold(path);
  try {
    await keep(path, kept);
    // A log of a damaged store must not be read into the new one.
    for (const suffix of ["-wal", "-shm"]) await rm(path + suffix, { force: true });
    try {
      await rename(draft, path);
    } catch {
      // Windows replaces no file that is open.
      held?.close();
      held = null;
      await rename(draft, path);
    }
    return kept;
  } finally {
    held?.close();
  }
}

async function keep(path: string, kept: string): Promise<void> {
  await rm(kept, { force: true });
  try {
    // To open and close the file, as a copy does, would end this program's locks (https://sqlite.org/howtocorrupt.html).
    await link(path, kept);
  } catch {
    // Some file systems have no links.
    await copyFile(path, kept);
  }
}

/**
 * Opens the store for this program alone, with its log written into it. Null where it is no store any more.
 *
 * @throws {StoreError} `in_use`
 */
async function hold(path: string): Promise<DatabaseSync | null> {
  const Database = await loadSqlite();
  const database = new Database(path);
  try {
    database.prepare("PRAGMA busy_timeout = 0").get();
    // The log can only be given up by the one program that has the file open (https://sqlite.org/wal.html).
    const [mode] = Object.values(database.prepare("PRAGMA journal_mode = DELETE").get() ?? {});
    if (mode !== "delete") throw inUse(path);
    database.prepare("BEGIN EXCLUSIVE").run();
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error) || error instanceof StoreError) throw inUse(path);
    if (storeError("", error).code === "damaged_store") return null;
    throw error;
  }
}

function inUse(path: string): StoreError {
  return new StoreError({ code: "in_use", reason: `The store ${path} is in use by another program` });
}
