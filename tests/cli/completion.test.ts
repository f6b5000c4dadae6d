import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { bashCompletion } from "../../src/cli/completion/bash.ts";
import { outlineOf } from "../../src/cli/completion/outline.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Command, Program } from "../../src/cli/command.ts";
import { commonOptions } from "../../src/config/common_options.ts";
import { missingPeer } from "../support/peers.ts";
import { withScratch } from "../support/scratch.ts";
import { runToEnd } from "./program_run.ts";

const programs: readonly Program[] = [edgeProgram, agentProgram];

/** A program with commands of two words. */
const nested: Program = {
  name: "nested",
  summary: "A program",
  version: () => "nested 1.0.0",
  commands: ["node add", "node list", "status"].map((name): Command => ({
    name,
    summary: `About ${name}`,
    options: commonOptions,
    positionals: {},
    examples: [],
    run: () => Promise.resolve(0),
  })),
};

/** What bash offers for the last word of `line`. */
function bashOffers(program: Program, line: string, folder?: string): string[] {
  const words = line.split(" ");
  const script = `${bashCompletion(program)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length - 1}
_${program.name}
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["--norc", "-u", "-c", script], {
    encoding: "utf8",
    cwd: folder,
  });
  assert.equal(stderr.replace(/.*compopt.*\n/g, ""), "");
  assert.equal(status, 0);
  return stdout.split("\n").filter((word) => word !== "");
}

const skip = missingPeer("bash");
/** The flags that are offered everywhere. */
const builtIn = ["--help", "--version"];

describe("completion bash", () => {
  it("offers the commands when none is typed", { skip }, () => {
    const words = edgeProgram.commands.map(({ name }) => name.split(" ")[0]);
    assert.deepEqual(bashOffers(edgeProgram, "edge "), [...new Set(words), "--help", "--version"]);
    assert.deepEqual(bashOffers(agentProgram, "agent lo"), ["login"]);
  });

  it("offers the flags when a command is typed", { skip }, () => {
    assert.deepEqual(bashOffers(agentProgram, "agent http 3000 --to"), ["--token", "--token-file"]);
    assert.deepEqual(bashOffers(edgeProgram, "edge serve --json --default"), ["--default-tunnel"]);
  });

  it("offers the values when a flag with choices is typed", { skip }, () => {
    assert.deepEqual(bashOffers(edgeProgram, "edge serve --log-level "), ["error", "warn", "info", "debug"]);
    assert.deepEqual(bashOffers(edgeProgram, "edge completion p"), ["powershell"]);
  });

  it("offers nothing when a flag takes any value", { skip }, () => {
    assert.deepEqual(bashOffers(edgeProgram, "edge serve --domain "), []);
  });

  it("offers files or folders when a flag wants one", { skip }, () =>
    withScratch(async (folder) => {
      await writeFile(join(folder, "my token"), "");
      await mkdir(join(folder, "my data"));
      assert.deepEqual(bashOffers(edgeProgram, "edge serve --token-file my", folder).sort(), ["my data", "my token"]);
      assert.deepEqual(bashOffers(edgeProgram, "edge serve --data my", folder), ["my data"]);
    }));

  it("offers the second word when commands have two", { skip }, () => {
    assert.deepEqual(bashOffers(nested, "nested "), ["node", "status", "--help", "--version"]);
    assert.deepEqual(bashOffers(nested, "nested node l"), ["list"]);
    assert.deepEqual(bashOffers(nested, "nested node add --log-f"), ["--log-format"]);
    assert.deepEqual(bashOffers(edgeProgram, "edge node "), ["add", "list", "show", "rotate", "remove", ...builtIn]);
    assert.deepEqual(bashOffers(edgeProgram, "edge tunnel add shop --ki"), ["--kind"]);
    assert.deepEqual(bashOffers(edgeProgram, "edge tunnel add shop --kind "), ["http", "tcp"]);
  });
});

for (const shell of ["bash", "zsh", "fish", "powershell"]) {
  for (const program of programs) {
    describe(`${program.name} completion ${shell}`, () => {
      it("holds every command, flag and choice when it is printed", async () => {
        const { exitCode, stdout, stderr } = await runToEnd(program, ["completion", shell]);
        assert.deepEqual([exitCode, stderr], [0, ""]);
        for (const { words, next, values } of outlineOf(program)) {
          for (const [word] of next) assert.ok(stdout.includes(word), `${words} ${word}`);
          for (const [flag, completion] of values) {
            const choices = typeof completion === "string" ? [] : completion;
            for (const choice of choices) assert.ok(stdout.includes(choice), `${flag} ${choice}`);
          }
        }
      });
    });
  }
}

describe("completion", () => {
  it("exits 2 and names the shells when it knows none of that name", async () => {
    const { exitCode, stderr } = await runToEnd(edgeProgram, ["completion", "fihs"]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^error: The shell "fihs" is none of bash, zsh, fish, powershell; did you mean fish\?\n/);
  });
});
