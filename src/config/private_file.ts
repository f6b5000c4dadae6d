/** Files that hold secrets: readable by their owner alone, and never seen half written. */
import { randomBytes } from "node:crypto";
import { link, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isSystemError } from "../base/mod.ts";

/** Writes `text` to `path`, mode 0600, in place of what was there; makes the folder, mode 0700, where it is missing. */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await withDraft(path, text, (draft) => rename(draft, path));
}

/** The same for a file that must be new: false, and nothing changed, where `path` exists. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  try {
    // Unlike a rename, a link fails where the name is taken: of two programs that start together, one wins.
    await withDraft(path, text, (draft) => link(draft, path));
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}

async function withDraft(path: string, text: string, put: (draft: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(draft, text, { mode: 0o600, flag: "wx" });
    await put(draft);
  } finally {
    await rm(draft, { force: true });
  }
}
