import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "scripts");
const scripts = readdirSync(folder).filter((name) => name.endsWith(".sh"));

/** Runs a script from a folder that is not its own. */
function run(script: string, ...args: string[]) {
  return spawnSync(join(folder, script), args, { cwd: tmpdir(), encoding: "utf8" });
}

describe("scripts", () => {
  for (const script of scripts) {
    it(`${script} prints its usage when asked with --help`, () => {
      assert.ok(statSync(join(folder, script)).mode & 0o100);
      const { status, stdout } = run(script, "--help");
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: scripts/${script}`));
    });

    it(`${script} exits 2 and names the flag when it does not know it`, () => {
      const { status, stderr } = run(script, "--no-such-flag");
      assert.equal(status, 2);
      assert.match(stderr, /--no-such-flag/);
    });
  }

  it("test.sh exits 1 and says so when no test ran", () => {
    const { status, stdout } = run("test.sh", "no-file-has-this-name");
    assert.equal(status, 1);
    assert.match(stdout, /No test ran/);
    assert.match(stdout, /\n0 passed, 0 failed\n$/);
  });
});
