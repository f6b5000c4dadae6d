import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { cliPage, describeProgram } from "../../src/cli/describe.ts";
import { edgeProgram } from "../../src/cli/edge.ts";

const file = new URL("../../docs/cli.md", import.meta.url);

describe("docs/cli.md", () => {
  it("is what the declarations say when it was written last (RUNNEL_WRITE_DOCS=1 writes it)", async () => {
    const page = cliPage([edgeProgram, agentProgram]);
    if (process.env.RUNNEL_WRITE_DOCS === "1") await writeFile(file, page);
    assert.equal(await readFile(file, "utf8"), page);
  });
});

describe("describeProgram", () => {
  it("has a row for each option of each command when a program is described", () => {
    for (const program of [edgeProgram, agentProgram]) {
      const page = describeProgram(program);
      for (const command of program.commands) {
        const part = page.slice(page.indexOf(`### ${program.name} ${command.name}\n`));
        const rows = part.slice(0, part.indexOf("\nExamples:")).split("\n").filter((line) => line.startsWith("| `--"));
        assert.equal(rows.length, Object.keys(command.options).length);
        // A bar in a cell begins a new cell unless it is escaped.
        const cells = new Set(rows.map((row) => row.split(/(?<!\\)\|/).length));
        assert.equal(cells.size, 1);
      }
    }
  });
});
