import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toldTimeouts, TunnelTimeouts } from "../../src/edge/tunnel_timeouts.ts";

describe("TunnelTimeouts", () => {
  it("gives the edge's own where nothing is asked for, and never more than the bound", () => {
    const own = { firstByteMs: 60_000, idleMs: 300_000, streamIdleMs: 3_600_000 };
    const timeouts = new TunnelTimeouts();
    assert.deepEqual(timeouts.defaults, own);
    assert.equal(timeouts.grant(undefined), timeouts.defaults);
    assert.equal(timeouts.grant({}), timeouts.defaults);
    assert.deepEqual(timeouts.grant({ firstByte: "off" }), { ...own, firstByteMs: Infinity });
    const bounded = new TunnelTimeouts({ idleMs: 7 }, 30_000);
    assert.deepEqual(bounded.defaults, { ...own, firstByteMs: 30_000, idleMs: 7 });
    assert.deepEqual(bounded.grant({ firstByte: "off" }), { ...own, firstByteMs: 30_000, idleMs: 7 });
    assert.deepEqual(bounded.grant({ firstByte: "5s" }), { ...own, firstByteMs: 5_000, idleMs: 7 });
  });

  it("is told only where something was asked for", () => {
    const { defaults } = new TunnelTimeouts();
    assert.equal(toldTimeouts(undefined, defaults), undefined);
    assert.deepEqual(toldTimeouts({}, defaults), { firstByte: "1m" });
  });
});
