import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AckTracker } from "../../../src/httpstream/flow/ack_tracker.ts";

const KIB = 1_024;

describe("AckTracker", () => {
  it("AckTracker is due when 64 frames or 32 KiB came, and not before", () => {
    const acks = new AckTracker();
    for (let frame = 1; frame < 64; frame++) acks.received(4);
    assert.deepEqual([acks.hasUnacknowledged, acks.isDue], [true, false]);
    acks.received(4);
    assert.equal(acks.isDue, true);
    assert.equal(acks.acknowledge(), 64);
    assert.deepEqual([acks.hasUnacknowledged, acks.isDue], [false, false]);
    acks.received(32 * KIB - 1);
    assert.equal(acks.isDue, false);
    acks.received(1);
    assert.equal(acks.isDue, true);
    assert.equal(acks.acknowledge(), 66);
  });
});
