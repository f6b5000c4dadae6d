/** The rules that hold for every command of both programs. */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Command, Program } from "../../src/cli/command.ts";
import { environmentName } from "../../src/config/option.ts";
import metadata from "../../package.json" with { type: "json" };
import { runToEnd } from "./program_run.ts";

const programs: readonly Program[] = [edgeProgram, agentProgram];
const commands = programs.flatMap((program) => program.commands.map((command) => ({ program, command })));

/** The arguments of a call that gives the command all it needs. */
function call(command: Command): string[] {
  const words = Object.keys(command.positionals).map((name) => command.choices?.[name]?.[0] ?? "http://127.0.0.1:3000");
  return [...command.name.split(" "), ...words];
}

/** The message of a wrong call. Nothing but the error may be printed, with and without `--json`. */
async function usageErrorOf(program: Program, args: string[], environment: Record<string, string> = {}) {
  const plain = await runToEnd(program, args, { environment });
  assert.equal(plain.exitCode, 2);
  if (!args.includes("--json")) assert.equal(plain.stdout, "");
  const json = await runToEnd(program, args, { environment: { ...environment, RUNNEL_JSON: "1" } });
  assert.equal(json.exitCode, 2);
  const [error, exit, ...more] = json.events;
  assert.deepEqual(more, []);
  assert.deepEqual([error?.event, error?.code, exit?.event, exit?.code, exit?.from], [
    "error",
    "usage",
    "exit",
    2,
    "error",
  ]);
  assert.ok(!Number.isNaN(Date.parse(String(error?.time))));
  assert.equal(plain.stderr, `error: ${error?.message}\n${error?.remedy}\n`);
  return String(error?.message);
}

for (const { program, command } of commands) {
  const good = call(command);
  const options = Object.values(command.options as Command["options"]);
  const title = `${program.name} ${command.name}`;

  describe(title, () => {
    it("exits 2 and names the nearest flag when a flag is unknown", async () => {
      assert.equal(await usageErrorOf(program, [...good, "--jsn"]), "Unknown flag --jsn; did you mean --json?");
      assert.equal(await usageErrorOf(program, [...good, "--no-json"]), "Unknown flag --no-json; did you mean --json?");
      assert.equal(await usageErrorOf(program, [...good, "-j"]), "Unknown flag -j");
    });

    it("exits 2 and names the argument when one is missing or one too many", async () => {
      assert.equal(await usageErrorOf(program, [...good, "surplus"]), 'The argument "surplus" is one too many');
      assert.equal(await usageErrorOf(program, [...good, "--", "--json"]), 'The argument "--json" is one too many');
      const [first] = Object.keys(command.positionals);
      if (first === undefined) return;
      assert.equal(await usageErrorOf(program, command.name.split(" ")), `The argument ${first} is missing`);
    });

    for (const { name, kind, isSecret } of options) {
      if (kind === "switch") {
        it(`exits 2 when --${name} is given a value, or given twice`, async () => {
          const message = await usageErrorOf(program, [...good, `--${name}=x`]);
          assert.equal(message, `--${name} takes no value, and was given "x"`);
          const twice = await usageErrorOf(program, [...good, `--${name}`, `--${name}`]);
          assert.equal(twice, `The flag --${name} is given more than once`);
        });

        it(`exits 2 when ${environmentName(name)} is neither true nor false`, async () => {
          const result = await runToEnd(program, good, { environment: { [environmentName(name)]: "maybe" } });
          assert.equal(result.exitCode, 2);
          assert.match(result.stderr, new RegExp(`^error: ${environmentName(name)} "maybe" is neither true nor false`));
        });
        continue;
      }
      it(`exits 2 when --${name} has no value, or stands before a flag`, async () => {
        const missing = `The flag --${name} has no value`;
        assert.equal(await usageErrorOf(program, [...good, `--${name}`]), missing);
        assert.equal(await usageErrorOf(program, [...good, `--${name}`, "--json"]), missing);
      });

      it(`exits 2 when --${name} is given twice`, async () => {
        if (kind === "list") return;
        const message = await usageErrorOf(program, [...good, `--${name}`, "x", `--${name}=y`]);
        assert.equal(message, `The flag --${name} is given more than once`);
      });

      it(`exits 2 and names --${name} when it is empty`, async () => {
        const message = await usageErrorOf(program, [...good, `--${name}=`]);
        assert.ok(message.startsWith(isSecret ? `--${name} is empty` : `--${name}`), message);
      });
    }

    it("prints each flag with variable and default, and examples, when it is asked for help", async () => {
      for (const flag of ["--help", "-h"]) {
        const { exitCode, stdout, stderr } = await runToEnd(program, [...command.name.split(" "), flag]);
        assert.deepEqual([exitCode, stderr], [0, ""]);
        assert.ok(stdout.includes(`\nUsage: ${title}`));
        for (const example of command.examples) assert.ok(stdout.includes(`\n  ${example}\n`));
        for (const spec of options) {
          const flagAndHint = `  --${spec.name} ${spec.hint}`.trimEnd();
          const start = stdout.indexOf(`${flagAndHint}\n`) + 1 || stdout.indexOf(`${flagAndHint}  `) + 1;
          assert.ok(start > 0, spec.name);
          const fallback = spec.default === undefined ? "" : ` default ${spec.default}`;
          // A long line is broken between its words.
          const told = stdout.slice(start).replaceAll(/\n {20,}/g, " ");
          assert.ok(told.includes(`[${environmentName(spec.name)}]${fallback}\n`), spec.name);
        }
        assert.deepEqual(stdout.split("\n").filter((line) => line.length > 100), []);
      }
    });
  });
}

for (const program of programs) {
  describe(program.name, () => {
    it("exits 2 and names the nearest command when there is no such command", async () => {
      const [first] = program.commands;
      const wrong = `${first?.name}x`;
      assert.equal(
        await usageErrorOf(program, [wrong]),
        `Unknown command ${wrong}; did you mean ${first?.name}?`,
      );
    });

    it("exits 2 and shows its commands when none is given", async () => {
      const names = program.commands.map(({ name }) => name).join(", ");
      const plain = await runToEnd(program, []);
      assert.deepEqual([plain.exitCode, plain.stdout], [2, ""]);
      const { stdout: usage } = await runToEnd(program, ["--help"]);
      const error = `error: The command is missing: one of ${names}\nSee '${program.name} --help'\n`;
      assert.equal(plain.stderr, `${usage}\n${error}`);
      const json = await runToEnd(program, [], { environment: { RUNNEL_JSON: "1" } });
      assert.deepEqual(json.events.map(({ event, code }) => [event, code]), [["error", "usage"], ["exit", 2]]);
    });

    it("prints the same usage for help as for --help, whatever the subject", async () => {
      for (const words of [[], ...program.commands.map(({ name }) => name.split(" "))]) {
        const asked = await runToEnd(program, ["help", ...words]);
        const flagged = await runToEnd(program, [...words, "--help"]);
        assert.deepEqual([asked.exitCode, asked.stderr, asked.stdout], [0, "", flagged.stdout]);
        assert.deepEqual(
          await runToEnd(program, ["help", ...words, "-h"]).then(({ stdout }) => stdout),
          flagged.stdout,
        );
      }
    });

    it("exits 2 when it is asked for help with what it does not have", async () => {
      const [first] = program.commands;
      assert.equal(await usageErrorOf(program, ["help", "nothing"]), "Unknown command nothing");
      const surplus = 'The argument "surplus" is one too many';
      assert.equal(await usageErrorOf(program, ["help", ...first!.name.split(" "), "surplus"]), surplus);
      assert.equal(await usageErrorOf(program, ["help", "--jsn"]), "The flag --jsn stands before the command");
    });

    it("exits 2 without its value when a flag stands before the command", async () => {
      assert.equal(await usageErrorOf(program, ["--token=SECRET"]), "The flag --token stands before the command");
    });

    it("prints its commands when it is asked for help", async () => {
      const { exitCode, stdout } = await runToEnd(program, ["--help"]);
      assert.equal(exitCode, 0);
      for (const { name, summary } of program.commands) {
        assert.ok(stdout.includes(`  ${name} `) && stdout.includes(summary));
      }
    });

    it("prints one exact line when it is asked for its version", async () => {
      const runtime = process.versions.bun === undefined
        ? `deno ${process.versions.deno}`
        : `bun ${process.versions.bun}`;
      const system = `${process.platform}-${process.arch}`;
      for (const args of [["--version"], ["-v"], [...program.commands[0]!.name.split(" "), "--version"]]) {
        const { exitCode, stdout } = await runToEnd(program, args);
        assert.equal(exitCode, 0);
        const commit = /\((\w+),/.exec(stdout)?.[1] ?? "";
        assert.match(commit, /^(?:[0-9a-f]{12}|unreleased)$/);
        assert.equal(stdout, `${program.name} ${metadata.version} (${commit}, ${runtime}, ${system})\n`);
      }
    });

    it("prints no escape sequence when it is asked for help on a terminal", async () => {
      const terminal = { isTerminal: true, columns: 40, rows: 24 };
      const { stdout } = await runToEnd(program, [...program.commands[0]!.name.split(" "), "-h"], { terminal });
      assert.ok(!stdout.includes("\x1b"));
    });
  });
}
