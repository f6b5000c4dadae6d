/** Files that hold secrets. Only the owner can read them, and nobody sees them half written. */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { isSystemError } from "../base/mod.ts";

/** Writes or replaces the file `path`, mode 0600. Makes the folder, mode 0700, where it is missing. */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await withDraft(path, text, (draft) => rename(draft, path));
}

/** The same for a new file. Returns false, and changes nothing, where `path` exists. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  try {
    // Unlike a rename, a link fails where the file exists: of two programs that start together, one makes it.
    await withDraft(path, text, (draft) => link(draft, path));
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}

/** The text of the file; null where there is none. */
export async function readIfExists(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}

/** Writes a temporary file beside `path`, lets `put` move it there, and removes what is left of it. */
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
