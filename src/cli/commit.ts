/** The commit that the program was built from. */
import { readFileSync } from "node:fs";

/** Defined by the build: `bun build --define RUNNEL_BUILD_COMMIT='"0123456789ab"'`. */
declare const RUNNEL_BUILD_COMMIT: string | undefined;

/** Its first 12 digits; `unreleased` where neither the build nor a checkout tells. */
export function commit(): string {
  if (typeof RUNNEL_BUILD_COMMIT === "string") return RUNNEL_BUILD_COMMIT;
  return commitOfCheckout(new URL("../../", import.meta.url))?.slice(0, 12) ?? "unreleased";
}

/**
 * What `git rev-parse HEAD` prints, read without git (gitrepository-layout(5)).
 *
 * @param root a folder, with a trailing slash
 * @returns null where the folder is no checkout of Runnel, or has no commit yet
 */
export function commitOfCheckout(root: URL): string | null {
  // A bundle may stand in another project's repository, whose commit is not ours.
  if (!read(new URL("package.json", root))?.includes('"name": "runnel"')) return null;
  const head = read(new URL(".git/HEAD", root));
  const branch = head?.match(/^ref: (refs\/\S+)$/)?.[1];
  const id = branch === undefined ? head : read(new URL(`.git/${branch}`, root)) ?? packedCommit(root, branch);
  return id !== null && /^[0-9a-f]{40,64}$/.test(id) ? id : null;
}

/** The commit of a branch that git has moved to the file of packed references. */
function packedCommit(root: URL, branch: string): string | null {
  const line = read(new URL(".git/packed-refs", root))?.split("\n").find((item) => item.endsWith(` ${branch}`));
  return line?.split(" ")[0] ?? null;
}

/** The trimmed text of a file; null where there is none. */
function read(file: URL): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    // An installed program stands in no checkout.
    return null;
  }
}
