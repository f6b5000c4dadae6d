import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeAdvice } from "../../src/agent/edge_failure.ts";
import { readPage, tableRows } from "./page.ts";

describe("docs/troubleshooting.md", () => {
  it("has each remedy of an edge that cannot be reached, and whether the agent tries again", () => {
    const rows = tableRows(readPage("docs/troubleshooting.md"), "what the error says");
    const documented = rows.map(([, first, remedy = ""]) => `${first}: ${remedy.replaceAll("`", "")}`);
    const known = Object.values(edgeAdvice).map(({ remedy, isPassing }) =>
      `${isPassing ? "tries on" : "ends"}: ${remedy}`
    );
    assert.deepEqual(documented.sort(), [...new Set(known)].sort());
  });
});
