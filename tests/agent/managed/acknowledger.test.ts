import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AgentError } from "../../../src/agent/errors.ts";
import { Acknowledger } from "../../../src/agent/managed/acknowledger.ts";
import { Backoff } from "../../../src/base/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { eventually } from "../../support/net.ts";

describe("Acknowledger", () => {
  it("does not call it sent when the edge refuses an acknowledgement for good", async () => {
    const told: string[] = [];
    const stop = new AbortController();
    const acknowledger = new Acknowledger({
      send: ({ version }) => {
        if (version === 2) return Promise.resolve();
        return Promise.reject(new AgentError("refused", "unknown version", undefined, { retryable: false }));
      },
      onSent: () => void told.push("sent"),
      onTrouble: (reason) => void told.push(reason),
      onRefused: () => void told.push("refused"),
      backoff: new Backoff(),
      clock: new FakeClock(),
    });
    const run = acknowledger.run(stop.signal);
    acknowledger.acknowledge({ version: 1, checksum: "", error: null });
    await eventually(() => told.includes("refused"));
    acknowledger.acknowledge({ version: 2, checksum: "", error: null });
    await eventually(() => told.includes("sent"));
    assert.deepEqual(told, ["unknown version", "refused", "sent"]);
    stop.abort();
    await run;
  });
});
