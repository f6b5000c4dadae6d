/** The short form of scripts/abuse.sh: counts and bounds, and no times. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { scenarios } from "../../scripts/abuse/scenarios/mod.mjs";
import { runtimeName } from "../../src/net/mod.ts";
import { root } from "../docs/page.ts";

const limitMs = 280_000;
const skip = process.platform === "linux" ? false : "memory and descriptors are read from /proc";

interface Outcome {
  readonly scenario: string;
  readonly faults: readonly string[];
}

let outcomes: readonly Outcome[] | null = null;

/** All are played by the first test that asks, on the same programs. */
function outcomeOf(name: string): Outcome {
  outcomes ??= play();
  const found = outcomes.find(({ scenario }) => scenario === name);
  assert.ok(found, `${name} was not played`);
  return found;
}

function play(): Outcome[] {
  const args = ["--short", "--json", "--runtime", runtimeName];
  const { stdout, stderr } = spawnSync(join(root, "scripts", "abuse.sh"), args, { encoding: "utf8", timeout: limitMs });
  const lines = stdout.split("\n").filter((line) => line !== "");
  assert.ok(lines.length > 0, stderr);
  return lines.map((line) => JSON.parse(line));
}

describe(`an edge on ${runtimeName} keeps to its bounds beside a neighbor`, () => {
  for (const { name, what } of scenarios.filter(({ short }) => short !== undefined)) {
    it(`${name}: when it meets ${what}`, { skip, timeout: limitMs }, () => {
      assert.deepEqual(outcomeOf(name).faults, []);
    });
  }
});
