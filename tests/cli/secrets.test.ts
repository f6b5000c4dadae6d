/** A token is never printed, however it is given, and be it valid or not. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Program } from "../../src/cli/command.ts";
import { withScratch } from "../support/scratch.ts";
import { ProgramRun, type RunOptions, runToEnd } from "./program_run.ts";

const secret = "S3CRET";
/** No valid token, since one of its characters is not ASCII. */
const wrong = `${secret}\u00e9`;

interface Wrong extends RunOptions {
  readonly name: string;
  readonly program?: Program;
  readonly args: readonly string[];
}

const mistakes: readonly Wrong[] = [
  { name: "--token is none", args: ["http", "3000", "--token", wrong] },
  { name: "RUNNEL_TOKEN is none", args: ["http", "3000"], environment: { RUNNEL_TOKEN: wrong } },
  { name: "standard input holds none", args: ["http", "3000", "--token-file", "-"], stdin: wrong },
  { name: "the flag is misspelled", args: ["http", "3000", `--tokn=${secret}`] },
  { name: "the flag stands before the command", args: [`--token=${secret}`, "http", "3000"] },
  { name: "it is given twice", args: ["http", "3000", "--token", secret, "--token", secret] },
  {
    name: "it is given in two ways",
    args: ["http", "3000", "--token-file", "x"],
    environment: { RUNNEL_TOKEN: secret, RUNNEL_TOKEN_FILE: "y" },
  },
  {
    name: "it stands in the edge's URL",
    args: ["http", "3000", "--edge", `http://me:${secret}@127.0.0.1:1`, "--token", "t"],
  },
  { name: "it stands in the URL of a login", args: ["login", `http://me:${secret}@127.0.0.1:1`, "--token", "t"] },
  {
    name: "it stands in the public URL",
    program: edgeProgram,
    args: ["serve", "--public-url", `https://me:${secret}@example.com`],
  },
  { name: "the edge's --token is none", program: edgeProgram, args: ["serve", "--token", wrong] },
];

describe("tokens", () => {
  for (const { name, program = agentProgram, args, ...options } of mistakes) {
    for (const json of [[], ["--json"]]) {
      it(`are not printed when ${name}${json.length === 0 ? "" : ", with --json"}`, async () => {
        const all = [...args, ...json, "--log-level", "debug"];
        const { exitCode, stdout, stderr } = await runToEnd(program, all, options);
        assert.equal(exitCode, 2);
        assert.notEqual(stderr, "");
        assert.ok(!`${stdout}${stderr}`.includes(secret), `${stdout}${stderr}`);
      });
    }
  }

  it("are not printed when a file or the settings hold none", () =>
    withScratch(async (home) => {
      const file = join(home, "token");
      await writeFile(file, wrong);
      const folder = join(home, ".config/runnel");
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "agent.yaml"), `token: ${wrong}\n`);
      for (const args of [["--token-file", file], []]) {
        const { exitCode, stdout, stderr } = await runToEnd(agentProgram, ["http", "3000", ...args], { home });
        assert.equal(exitCode, 2);
        assert.match(stderr, /has other characters than visible ASCII/);
        assert.ok(!`${stdout}${stderr}`.includes(secret));
      }
    }));

  it("are not logged when the edge refuses or accepts them at the level debug", async () => {
    const common = ["--log-level", "debug", "--json"];
    const edge = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", secret, ...common]);
    const { listen } = await edge.event("ready");
    for (const protocol of ["v2", "json"]) {
      const args = ["http", "3000", "--edge", `http://${listen}`, "--protocol", protocol, ...common];
      const refused = await runToEnd(agentProgram, [...args, "--token", `${secret}-but-another`]);
      assert.equal(refused.exitCode, 3);
      const agent = new ProgramRun(agentProgram, args, { environment: { RUNNEL_TOKEN: secret } });
      await agent.event("ready");
      assert.equal(await agent.stop(), 0);
      for (const { stdout, stderr } of [refused, agent]) assert.ok(!`${stdout}${stderr}`.includes(secret));
    }
    assert.equal(await edge.stop(), 0);
    assert.ok(!`${edge.stdout}${edge.stderr}`.includes(secret));
  });
});
