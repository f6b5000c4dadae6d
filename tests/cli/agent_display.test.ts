import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { eventDisplay } from "../../src/cli/agent_display.ts";
import type { Output } from "../../src/cli/output.ts";
import { configureLog } from "../../src/observe/mod.ts";

describe("eventDisplay", () => {
  const output: Output = { isJson: false, event() {}, result() {} };
  const display = eventDisplay({ upstream: "http://127.0.0.1:3000", edge: "http://edge", protocol: "v2" }, output);

  after(() => configureLog({ level: "error", format: "text", write() {} }));

  it("logs each cause once, with its remedy, before the first connection", async () => {
    const lines: string[] = [];
    await configureLog({ level: "info", format: "text", write: (line) => lines.push(line) });
    for (let attempt = 2; attempt < 20; attempt++) {
      display.connecting(attempt, 250, attempt < 10 ? "Connection refused" : "No such host", "Check --edge");
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0], /Connection refused.*Check --edge/);
    assert.match(lines[1], /No such host.*Check --edge/);
  });

  it("logs a cause of reconnecting once, and again behind a connection", async () => {
    const lines: string[] = [];
    await configureLog({ level: "info", format: "text", write: (line) => lines.push(line) });
    for (let outage = 0; outage < 2; outage++) {
      display.ready({ url: "http://shop", name: "shop", tunnelId: "shop" });
      display.reconnecting(1, 250, null);
      for (let attempt = 2; attempt < 20; attempt++) display.reconnecting(attempt, 900, "Connection refused");
    }
    assert.deepEqual(lines.map((line) => line.includes("refused")), [false, true, false, true]);
  });

  it("logs a first attempt without a reason, and later ones with it", async () => {
    const lines: string[] = [];
    await configureLog({ level: "info", format: "text", write: (line) => lines.push(line) });
    display.reconnecting(1, 250, null);
    display.reconnecting(2, 900, "Cannot reach the edge");
    assert.match(lines[0], /Reconnecting in 250 ms, attempt 1\n$/);
    assert.match(lines[1], /Reconnecting in 900 ms, attempt 2: ["']Cannot reach the edge["']\n$/);
  });
});
