/** What the programs find around them: a home that cannot be written, a locale of ASCII alone. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { canUseUnicode, inLocale, type ProgramHost } from "../../src/cli/host.ts";
import type { Command, Program } from "../../src/cli/command.ts";
import { commonOptions } from "../../src/config/common_options.ts";
import { withScratch } from "../support/scratch.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const token = "a-token-of-the-tests";

/** A home in which nothing can be read or made, by root either. */
const home = "/dev/null/home";

describe("without a home that can be written", () => {
  let edge: ProgramRun;
  let address: string;
  before(async () => {
    const args = ["serve", "--listen", "127.0.0.1:0", "--token", token, "--json"];
    edge = new ProgramRun(edgeProgram, args, { home });
    address = String((await edge.event("ready")).listen);
  });
  after(() => edge.stop());

  it("edge serve starts when it is given its token, and names no folder", async () => {
    assert.equal((await edge.event("ready")).dataDir, null);
    const person = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", token], { home });
    await person.waitFor(() => /^Connect/m.test(person.stdout));
    assert.match(person.stdout, /^Data {8}none: /m);
    assert.doesNotMatch(person.stdout, /dev\/null/);
    assert.equal(await person.stop(), 0);
  });

  it("edge serve exits 1 and names folder and flags when it must keep a token", async () => {
    const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--listen", "127.0.0.1:0"], { home });
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /^error: The data folder \/dev\/null\/home\/\.local\/share\/runnel cannot be used: .*\n.*--data/,
    );
    assert.match(stderr, /--token-file/);
  });

  it("agent http connects with its flags, also when the edge is an address alone", async () => {
    const args = ["http", "3000", "--edge", address, "--token", token, "--json"];
    const agent = new ProgramRun(agentProgram, args, { home });
    assert.match(String((await agent.event("ready")).url), /^http:\/\/\w+\.localhost:\d+$/);
    assert.equal(await agent.stop(), 0);
  });

  it("agent http exits 2 and says what to do when the settings are there and cannot be read", () =>
    withScratch(async (folder) => {
      await mkdir(join(folder, ".config", "runnel", "agent.yaml"), { recursive: true });
      const { exitCode, stderr } = await runToEnd(agentProgram, ["http", "3000"], { home: folder });
      assert.equal(exitCode, 2);
      assert.match(stderr, /^error: The settings .*agent\.yaml cannot be read: .*\n.*XDG_CONFIG_HOME/);
    }));

  it("agent login exits 1 and names the file and what else there is", async () => {
    const args = ["login", address, "--token-file", "-"];
    const { exitCode, stdout, stderr } = await runToEnd(agentProgram, args, { home, stdin: `${token}\n` });
    assert.deepEqual([exitCode, stdout], [1, ""]);
    assert.match(stderr, /^error: The settings \/dev\/null\/home\/\.config\/runnel\/agent\.yaml cannot be written: /);
    assert.match(stderr, /XDG_CONFIG_HOME.*--edge and --token-file/);
  });
});

describe("the locale", () => {
  const cases: readonly [environment: Record<string, string>, platform: string, hasUnicode: boolean][] = [
    [{ LANG: "en_US.UTF-8" }, "linux", true],
    [{ LANG: "C.utf8" }, "linux", true],
    [{ LC_ALL: "C", LANG: "en_US.UTF-8" }, "linux", false],
    [{ LC_ALL: "", LANG: "en_US.UTF-8" }, "linux", true],
    [{ LC_CTYPE: "POSIX", LANG: "en_US.UTF-8" }, "linux", false],
    [{ LC_ALL: "de_DE.UTF-8", LC_CTYPE: "C" }, "linux", true],
    [{ LANG: "de_DE.ISO-8859-1" }, "darwin", false],
    [{}, "linux", false],
    [{}, "darwin", true],
    [{}, "win32", true],
  ];
  for (const [environment, platform, hasUnicode] of cases) {
    it(`${hasUnicode ? "shows" : "does not show"} Unicode for ${JSON.stringify(environment)} on ${platform}`, () => {
      assert.equal(canUseUnicode({ environment: (name) => environment[name], platform }), hasUnicode);
    });
  }

  /** A program that prints, logs and fails in letters beyond ASCII. */
  const words = "caf\u00e9 \u2026 \u{1f600}";
  const command: Command = {
    name: "say",
    summary: words,
    options: commonOptions,
    positionals: {},
    examples: [],
    run: ({ output }) => {
      output.result({ words }, words);
      throw new Error(words);
    },
  };
  const program: Program = { name: "speaker", summary: words, version: () => words, commands: [command] };

  for (const args of [[], ["--help"], ["--version"], ["say"], ["say", "--json"], ["say", "--help"]]) {
    it(`gets ASCII alone when it is C and the words are ${args.join(" ")}`, async () => {
      const { stdout, stderr } = await runToEnd(program, args, { environment: { LC_ALL: "C" } });
      assert.match(stdout + stderr, /caf\\u00e9 \.\.\. \\ud83d\\ude00/);
      assert.match(stdout + stderr, /^[\0-\x7f]+$/);
      const unchanged = await runToEnd(program, args, { environment: { LC_ALL: "C.UTF-8" } });
      assert.ok((unchanged.stdout + unchanged.stderr).includes(words));
    });
  }

  it("leaves JSON as it was for whoever parses it", async () => {
    const { stdout } = await runToEnd(program, ["say", "--json"], { environment: { LC_ALL: "C" } });
    assert.equal(JSON.parse(stdout.split("\n")[0]!).words, words.replace("\u2026", "..."));
  });

  it("gets a live view of ASCII alone when it is C", async () => {
    const environment = { LC_ALL: "C", RUNNEL_TOKEN: token };
    const terminal = { isTerminal: true, columns: 30, rows: 24 };
    const args = ["http", "3000", "--edge", "http://127.0.0.1:1", "--connect-timeout", "1ms"];
    const { stdout } = await runToEnd(agentProgram, args, { environment, terminal });
    assert.match(stdout, /Connecting to/);
    assert.match(stdout, /^[\0-\x7f]+$/);
    // Too long for a line, so that it is shortened.
    const long = await runToEnd(agentProgram, args, { environment, terminal: { ...terminal, columns: 20 } });
    assert.match(long.stdout, /^[\0-\x7f]+$/);
    assert.match(long.stdout, /~/);
  });

  it("inLocale leaves what it does not change to the host", () => {
    let home = "/first";
    const host = {
      environment: () => undefined,
      platform: "linux",
      get home() {
        return home;
      },
    } as unknown as ProgramHost;
    const shown = inLocale(host);
    home = "/second";
    assert.equal(shown.home, "/second");
  });
});
