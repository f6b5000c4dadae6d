/** Which command is run with which arguments and flags, for commands of one word and of two. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Command, Program } from "../../src/cli/command.ts";
import { commonOptions } from "../../src/config/common_options.ts";
import { listOption, textOption } from "../../src/config/option.ts";
import { runToEnd } from "./program_run.ts";

const options = {
  label: textOption({ name: "label", hint: "TEXT", help: "a label" }),
  allow: listOption({ name: "allow", hint: "HOST", help: "who may" }, (text) => text),
  ...commonOptions,
};

/** A command that prints how it was called, and ends with exit code 7. */
function command(name: string, ...positionals: string[]): Command<typeof options> {
  return {
    name,
    summary: `About ${name}`,
    options,
    positionals: Object.fromEntries(positionals.map((positional) => [positional, "any text"])),
    examples: [],
    run({ values: { label, allow }, positionals, output }) {
      output.result({}, JSON.stringify({ name, positionals, label, allow }));
      return Promise.resolve(7);
    },
  };
}

const program: Program = {
  name: "nested",
  summary: "A program",
  version: () => "nested 1.0.0",
  commands: [command("node add", "NAME", "URL"), command("node list"), command("status", "NAME")],
};

describe("runProgram", () => {
  const calls: readonly [args: string[], called: Record<string, unknown>][] = [
    [["node", "add", "a", "http://b"], { name: "node add", positionals: { NAME: "a", URL: "http://b" }, allow: [] }],
    [["node", "list"], { name: "node list", positionals: {}, allow: [] }],
    [["status", "--label", "x", "a"], { name: "status", positionals: { NAME: "a" }, label: "x", allow: [] }],
    [["status", "a", "--label=-x"], { name: "status", positionals: { NAME: "a" }, label: "-x", allow: [] }],
    [["status", "--allow", "x", "a", "--allow=y"], { name: "status", positionals: { NAME: "a" }, allow: ["x", "y"] }],
    [["status", "--", "--no-label"], { name: "status", positionals: { NAME: "--no-label" }, allow: [] }],
  ];
  for (const [args, called] of calls) {
    it(`calls ${called.name} with its exit code when the words are ${args.join(" ")}`, async () => {
      const { exitCode, stdout, stderr } = await runToEnd(program, args);
      assert.deepEqual([exitCode, stderr], [7, ""]);
      assert.deepEqual(JSON.parse(stdout), called);
    });
  }

  const mistakes: readonly [args: string[], message: string][] = [
    [["node"], "The command node is one of node add, node list"],
    [["node", "--label"], "The command node is one of node add, node list"],
    [["node", "lst"], "Unknown command node lst; did you mean node list?"],
    [["constructor"], "Unknown command constructor"],
    [["node", "add", "a"], "The argument URL is missing"],
    [["node", "add", "a", "b", "c"], 'The argument "c" is one too many'],
    [["status", "--labl", "x"], "Unknown flag --labl; did you mean --label?"],
    [["status", "--label"], "The flag --label has no value"],
    [["--label", "SECRET", "status", "a"], "The flag --label stands before the command"],
    [["--", "status", "a"], "The flag -- stands before the command"],
  ];
  for (const [args, message] of mistakes) {
    it(`exits 2 when the words are ${args.join(" ")}`, async () => {
      const { exitCode, stdout, stderr } = await runToEnd(program, args);
      assert.deepEqual([exitCode, stdout], [2, ""]);
      assert.equal(stderr.split("\n")[0], `error: ${message}`);
    });
  }

  it("prints the usage when an argument is missing and --help is given", async () => {
    for (
      const [args, usage] of [
        [["node", "add", "-h"], "nested node add NAME URL"],
        [["node", "--help"], "nested COMMAND"],
        [["help", "node", "add"], "nested node add NAME URL"],
        [["help", "node"], "nested COMMAND"],
      ]
    ) {
      const { exitCode, stdout } = await runToEnd(program, args as string[]);
      assert.equal(exitCode, 0);
      assert.ok(stdout.includes(`\nUsage: ${usage} [OPTIONS]\n`), stdout);
    }
  });
});
