/** `edge` and `agent` on PATH, as the pages put them there from a checkout. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { version } from "../../src/config/version.ts";
import { commandsOf, readPage, root } from "../docs/page.ts";
import { withScratch } from "../support/scratch.ts";

/** The line of a page that puts both programs on PATH. */
function lineOf(path: string): string {
  const commands = readPage(path).fences.filter(({ language }) => language === "sh").flatMap(commandsOf);
  return commands.find((command) => command.startsWith("export PATH=")) ?? assert.fail(`${path} has no such line`);
}

/** Runs `commands` in a shell that has typed the pages' line in the checkout, and then gone to `folder`. */
function shell(folder: string, commands: string) {
  const text = `cd '${root}'; ${lineOf("docs/quickstart.md")}; cd '${folder}'; ${commands}`;
  const { PATH = "" } = process.env;
  return spawnSync("sh", ["-ec", text], { encoding: "utf8", env: { PATH, HOME: folder } });
}

describe("the programs of a checkout", () => {
  it("are put on PATH by the same line in every page that tells it", () => {
    const lines = ["README.md", "docs/quickstart.md", "docs/install.md", "docs/troubleshooting.md"].map((path) => {
      const [, line] = /(export PATH=[^\n`]+)/.exec(readPage(path).text) ?? [];
      return line;
    });
    assert.deepEqual(lines, Array(4).fill(lineOf("docs/quickstart.md")));
  });

  it("run in any folder, on nothing that stands there", () =>
    withScratch(async (folder) => {
      await writeFile(join(folder, ".env"), "RUNNEL_JSON=maybe\n");
      await writeFile(join(folder, "bunfig.toml"), 'preload = ["./nothing.ts"]\n');
      const { status, stdout, stderr } = shell(folder, "edge --version; agent --version; agent help http");
      assert.equal(status, 0, stderr);
      const [edge, agent] = stdout.split("\n");
      assert.match(edge!, new RegExp(`^edge ${version} \\(\\w+, bun `));
      assert.match(agent!, new RegExp(`^agent ${version} \\(\\w+, bun `));
      assert.match(stdout, /^Usage: agent http TARGET/m);
      assert.equal(stderr, "");
    }));

  it("run by a link, and give their exit code", () =>
    withScratch(async (folder) => {
      await symlink(join(root, "bin", "agent"), join(folder, "linked"));
      const { status, stderr } = shell(folder, "./linked http");
      assert.equal(status, 2);
      assert.match(stderr, /^error: The argument TARGET is missing\n/);
    }));
});
