/** The short form of scripts/fuzz.sh: the same cases each time. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { runtimeName } from "../../src/net/mod.ts";
import { root } from "../docs/page.ts";

const limitMs = 120_000;
const skip = process.platform === "linux" ? false : "memory and descriptors are read from /proc";

describe("scripts/fuzz.sh", () => {
  for (const [subject, runs] of [["requests", "200"], ["frames", "100"]] as const) {
    it(`finds nothing when it sends ${runs} ${subject} of a fixed seed`, { skip, timeout: limitMs }, () => {
      const args = [subject, "--runtime", runtimeName, "--runs", runs, "--seed", "14"];
      const { status, stdout, stderr } = spawnSync(join(root, "scripts", "fuzz.sh"), args, { encoding: "utf8" });
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, new RegExp(`${runs} cases, nothing found`));
    });
  }
});
