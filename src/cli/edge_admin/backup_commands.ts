/** `edge backup` and `edge restore`: the whole store as one file. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf } from "../../base/mod.ts";
import { adminOptions, DataFolder, defaultDataFolder, restoreOptions } from "../../config/mod.ts";
import { restoreBackup } from "../../store/mod.ts";
import { AdminError } from "../admin_error.ts";
import type { Command } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import type { AdminClient } from "./client.ts";
import { adminCommand } from "./command.ts";

const backup = adminCommand<typeof adminOptions>({
  name: "backup",
  summary: "Copy all nodes, tokens and tunnels of a running edge to a file",
  options: adminOptions,
  positionals: { FILE: "the file, which is replaced; only its owner can read it" },
  examples: ["edge backup runnel.backup"],
  async ask(client, { positionals, output }) {
    const file = resolve(positionals.FILE!);
    const bytes = await download(client, file);
    output.result({ file, bytes }, `Backup      ${file} (${bytes} bytes)`);
  },
});

const restore: Command<typeof restoreOptions> = {
  name: "restore",
  summary: "Put a backup in the place of what an edge keeps, while it does not run",
  options: restoreOptions,
  positionals: { FILE: "what edge backup has written" },
  examples: ["edge restore runnel.backup", "edge restore runnel.backup --data /var/lib/runnel"],
  async run({ positionals, values, host, output }) {
    const file = resolve(positionals.FILE!);
    const store = new DataFolder(values.data ?? defaultDataFolder(host)).storePath;
    const replaced = await restoreBackup(file, store);
    const kept = replaced === null ? [] : [`Replaced    ${replaced} has what was there`];
    output.result({ file, store, replaced }, `Restored    ${store}`, ...kept);
    return ExitCode.ok;
  },
};

/** Writes the backup to a draft first, so that the file is whole or as it was. Resolves to its bytes. */
async function download(client: AdminClient, file: string): Promise<number> {
  const draft = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await checkReplaceable(file);
    const handle = await open(draft, "wx", 0o600);
    try {
      let bytes = 0;
      for await (const chunk of client.read("/api/v1/backup", "application/vnd.sqlite3")) {
        await writeAll(handle, chunk);
        bytes += chunk.length;
      }
      await handle.sync();
      await rename(draft, file);
      return bytes;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof AdminError) throw error;
    throw new AdminError("backup_failed", `The backup cannot be written to ${file}: ${messageOf(error)}`, error);
  } finally {
    await rm(draft, { force: true });
  }
}

/** A device is not to become a file. A program that has lost its store's file goes on to write to what nobody finds. */
async function checkReplaceable(file: string): Promise<void> {
  const [there, sharedMemory] = await Promise.all([file, `${file}-shm`].map((path) => stat(path).catch(() => null)));
  if (there?.isFile() === false) throw new Error("it is no ordinary file");
  if (sharedMemory !== null) throw new Error("a program has it open as its store");
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += (await handle.write(chunk, written, chunk.length - written)).bytesWritten;
  }
}

// deno-lint-ignore no-explicit-any -- each command has its own options
export const backupCommands: readonly Command<any>[] = [backup, restore];
