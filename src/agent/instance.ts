/** Which agent this is, among those of its owner: an id that outlives the process, so that the next one is known by it. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createPrivateFile, instancePattern, readIfExists, replacePrivateFile } from "../config/mod.ts";

const FILE_NAME = "agent-instance";

/**
 * The id that is kept in `folder`, in a file of mode 0600: drawn at the first call. Rejects with what `node:fs` throws
 * where it can neither be read nor written.
 *
 * @param folder is made where it is missing
 */
export async function keptInstance(folder: string): Promise<string> {
  const path = join(folder, FILE_NAME);
  const drawn = newInstance();
  const known = (await readIfExists(path))?.trim() ?? "";
  if (instancePattern.test(known)) return known;
  if (known !== "") await replacePrivateFile(path, `${drawn}\n`);
  else if (!await createPrivateFile(path, `${drawn}\n`)) {
    // Another agent has made the file meanwhile.
    return (await readIfExists(path))?.trim() || drawn;
  }
  return drawn;
}

/** Where nothing can be kept, it lasts as long as the process. */
export function newInstance(): string {
  return randomBytes(6).toString("hex");
}
