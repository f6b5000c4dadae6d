/** The commit that the program was built from. */
import { readFileSync } from "node:fs";

/** Set by the build: `bun build --define RUNNEL_BUILD_COMMIT='"0123456789ab"'`. */
declare const RUNNEL_BUILD_COMMIT: string | undefined;

/** The first 12 digits; `unreleased` where neither the build nor a checkout tells. */
export function commit(): string {
  if (typeof RUNNEL_BUILD_COMMIT === "string") return RUNNEL_BUILD_COMMIT;
  return commitOfCheckout(new URL("../../", import.meta.url))?.slice(0, 12) ?? "unreleased";
}

/**
 * Reads what `git rev-parse HEAD` would say, without git (gitrepository-layout(5)).
 *
 * @param root the folder with a trailing slash; null where it is no checkout of its own, or has no commit yet
 */
export function commitOfCheckout(root: URL): string | null {
  // A bundle may stand anywhere, and another project's repository around it says nothing about it.
  if (!read(new URL("package.json", root))?.includes('"name": "runnel"')) return null;
  const head = read(new URL(".git/HEAD", root));
  const branch = head?.match(/^ref: (refs\/\S+)$/)?.[1];
  const id = branch === undefined ? head : read(new URL(`.git/${branch}`, root)) ?? packed(root, branch);
  return id !== null && /^[0-9a-f]{40,64}$/.test(id) ? id : null;
}

function packed(root: URL, branch: string): string | null {
  const line = read(new URL(".git/packed-refs", root))?.split("\n").find((item) => item.endsWith(` ${branch}`));
  return line?.split(" ")[0] ?? null;
}

function read(file: URL): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    // No such file: a program that was installed stands in no checkout.
    return null;
  }
}
