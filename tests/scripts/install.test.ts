/** install.sh where the prefix cannot be written to. tests/packaging/release.test.ts installs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { isOnPath } from "../../scripts/lib/peers.mjs";
import { withScratch } from "../support/scratch.ts";

const script = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "scripts", "install.sh");

/** Root may write everywhere, so that the script then runs as nobody. */
const isRoot = process.getuid?.() === 0;
const asNobody = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
const skip = isRoot && !isOnPath("setpriv") ? "there is no setpriv to give up root's rights with" : false;

function install(from: string, prefix: string, home = "/") {
  const [command, ...args] = [...asNobody, "sh", "-s", "--", from, "--prefix", prefix];
  // By standard input: nobody may not read the checkout.
  const text = spawnSync("cat", [script], { encoding: "utf8" }).stdout;
  return spawnSync(command!, args, { encoding: "utf8", input: text, cwd: "/", env: { ...process.env, HOME: home } });
}

describe("install.sh", () => {
  it(
    "says who may not write where, and what to do, before it fetches anything",
    { skip },
    () =>
      withScratch(async (folder) => {
        await chmod(folder, 0o755);
        const there = join(folder, "there");
        await mkdir(join(there, "bin"), { recursive: true });
        await writeFile(join(folder, "file"), "");
        await chmod(join(there, "bin"), 0o555);
        await chmod(there, 0o555);
        for (const prefix of [there, join(there, "new"), join(folder, "file"), join(folder, "file", "below")]) {
          // Nothing listens there: it would say so, had it asked.
          const { status, stdout, stderr } = install("http://127.0.0.1:1/runnel", prefix);
          assert.deepEqual([status, stdout], [1, ""], stderr);
          assert.match(stderr, new RegExp(`^install: \\S+ cannot write to ${prefix}/bin: nothing was installed\\.\n`));
          assert.match(stderr, /as root/);
          assert.match(stderr, /^ {4}sh \S+ http:\/\/127\.0\.0\.1:1\/runnel --prefix ~\/\.local$/m);
        }
        assert.match(
          install("/nowhere", "~/x", there).stderr,
          new RegExp(`cannot write to ${there}/x/bin`),
          "a quoted ~",
        );
        await chmod(there, 0o755);
        assert.deepEqual(await readdir(there), ["bin"]);
      }),
  );
});
