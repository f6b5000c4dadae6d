import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { eventDisplay } from "../../src/cli/agent_display.ts";
import type { Output } from "../../src/cli/output.ts";
import { configureLog } from "../../src/observe/mod.ts";

describe("eventDisplay", () => {
  const output: Output = { isJson: false, event() {}, result() {} };
  const display = eventDisplay({ upstream: "http://127.0.0.1:3000", edge: "http://edge", protocol: "v2" }, output);

  after(() => configureLog({ level: "error", format: "text", write() {} }));

  it("logs a first attempt without a reason, and later ones with it", async () => {
    const lines: string[] = [];
    await configureLog({ level: "info", format: "text", write: (line) => lines.push(line) });
    display.reconnecting(1, 250, null);
    display.reconnecting(2, 900, "Cannot reach the edge");
    assert.match(lines[0], /Reconnecting in 250 ms, attempt 1\n$/);
    assert.match(lines[1], /Reconnecting in 900 ms, attempt 2: ["']Cannot reach the edge["']\n$/);
  });
});
