import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FRAME_COST, FrameKind, HEADERS_ROOM, Inflight } from "../../../src/httpstream/flow/inflight.ts";
import {
  FIRST_LIMIT,
  LEAST_LIMIT,
  MIN_RTT_LIFETIME_MS,
  MOST_LIMIT,
} from "../../../src/httpstream/flow/rate_estimator.ts";
import { Receipts } from "../../../src/httpstream/flow/receipts.ts";

const KIB = 1_024;

/** Sends DATA of `bytes` at `sentAt`, acknowledged at `ackedAt`. */
function roundTrip(inflight: Inflight, bytes: number, sentAt: number, ackedAt: number, busy = true): void {
  inflight.sent(FrameKind.DATA, bytes - FRAME_COST, sentAt, busy);
  assert.equal(inflight.acknowledge(inflight.sentCount, ackedAt), true);
}

describe("Inflight", () => {
  it("Inflight counts each frame with its cost until it is acknowledged", () => {
    const inflight = new Inflight();
    inflight.sent(FrameKind.DATA, 1_000, 0, false);
    inflight.sent(FrameKind.HEADERS, 200, 0, false);
    inflight.sent(FrameKind.CONTROL, 4, 0, false);
    assert.deepEqual([0, 1, 2].map((kind) => inflight.bytes(kind as FrameKind)), [1_128, 328, 132]);
    assert.equal(inflight.dataRoom, FIRST_LIMIT - 1_128 - FRAME_COST);
    inflight.acknowledge(2, 10);
    assert.deepEqual([0, 1, 2].map((kind) => inflight.bytes(kind as FrameKind)), [0, 0, 132]);
    assert.equal(inflight.rttMs, 10);
  });

  it("Inflight refuses an ACK when it is above what was sent or below an earlier one", () => {
    const inflight = new Inflight();
    for (let frame = 0; frame < 5; frame++) inflight.sent(FrameKind.CONTROL, 4, 0, false);
    assert.equal(inflight.acknowledge(6, 1), false);
    assert.equal(inflight.acknowledge(3, 1), true);
    assert.equal(inflight.acknowledge(3, 2), true);
    assert.equal(inflight.acknowledge(2, 2), false);
    assert.equal(inflight.ackedCount, 3);
  });

  it("Inflight holds HEADERS back when 1 MiB of them is unacknowledged", () => {
    const inflight = new Inflight();
    const block = 10_000;
    let sent = 0;
    while (inflight.headersFit(block)) {
      inflight.sent(FrameKind.HEADERS, block, 0, false);
      sent++;
    }
    assert.equal(sent, Math.floor(HEADERS_ROOM / (block + FRAME_COST)));
    inflight.acknowledge(1, 1);
    assert.equal(inflight.headersFit(block), true);
  });

  it("Inflight limits DATA to twice rate and round trip when the path is busy", () => {
    const inflight = new Inflight();
    // 100 KiB acknowledged 100 ms after their sending: 1 KiB a millisecond.
    roundTrip(inflight, 100 * KIB, 0, 100);
    assert.equal(inflight.estimator.rate, KIB);
    assert.equal(inflight.estimator.minRttMs, 100);
    assert.equal(inflight.estimator.limit, 2 * KIB * 110);
  });

  it("Inflight keeps its limit within 64 KiB and 4 MiB", () => {
    const slow = new Inflight();
    roundTrip(slow, 1 * KIB, 0, 100);
    assert.equal(slow.estimator.limit, LEAST_LIMIT);
    const fast = new Inflight();
    roundTrip(fast, 64 * KIB, 0, 0.1);
    assert.equal(fast.estimator.limit, MOST_LIMIT);
  });

  it("Inflight keeps its first limit when nothing ever waited, and lets such samples raise the rate alone", () => {
    const inflight = new Inflight();
    roundTrip(inflight, 10 * KIB, 0, 100, false);
    assert.equal(inflight.estimator.limit, FIRST_LIMIT);
    roundTrip(inflight, 100 * KIB, 100, 200);
    const { limit } = inflight.estimator;
    roundTrip(inflight, 10 * KIB, 200, 300, false);
    assert.equal(inflight.estimator.limit, limit);
    roundTrip(inflight, 200 * KIB, 300, 400, false);
    assert.equal(inflight.estimator.rate, 2 * KIB);
  });

  it("Inflight forgets a rate when ten round trips and a second have passed", () => {
    const inflight = new Inflight();
    roundTrip(inflight, 100 * KIB, 0, 10);
    assert.equal(inflight.estimator.rate, 10 * KIB);
    for (let at = 100; at <= 900; at += 100) roundTrip(inflight, 20 * KIB, at, at + 10);
    assert.equal(inflight.estimator.rate, 10 * KIB);
    for (let at = 1_000; at <= 1_200; at += 100) roundTrip(inflight, 20 * KIB, at, at + 10);
    assert.equal(inflight.estimator.rate, 2 * KIB);
  });

  it("Inflight looks for a new minimum when no round trip was as short for 10 s, then comes back step by step", () => {
    const inflight = new Inflight();
    const { estimator } = inflight;
    roundTrip(inflight, 1_000 * KIB, 0, 100);
    let at = 0;
    while (at <= MIN_RTT_LIFETIME_MS) {
      at += 500;
      roundTrip(inflight, 2_000 * KIB, at, at + 200);
    }
    assert.equal(estimator.probing, true);
    assert.equal(estimator.limit, (estimator.rate * 100) / 2);
    // A frame that left while more than the lowered limit was under way says nothing of the empty path.
    roundTrip(inflight, 2_000 * KIB, at + 200, at + 350);
    assert.equal(estimator.probing, true);
    roundTrip(inflight, 100 * KIB, at + 400, at + 520);
    assert.equal(estimator.probing, false);
    assert.equal(estimator.minRttMs, 120);
    assert.equal(estimator.limit, estimator.rate * 120);
    assert.ok(estimator.limit < estimator.ordinaryLimit);
    roundTrip(inflight, 200 * KIB, at + 600, at + 750);
    assert.equal(estimator.limit, estimator.rate * 120 + 200 * KIB);
  });

  it("Inflight has nothing under way when everything is acknowledged, in whatever steps", () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constantFrom(0, 1, 2), bytes: fc.integer({ min: 0, max: 65_536 }) }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
      const inflight = new Inflight();
      const costs: number[] = [];
      let now = 0;
      for (const step of actions) {
        now++;
        if (typeof step === "number") {
          const count = inflight.ackedCount + Math.round(step * (inflight.sentCount - inflight.ackedCount));
          assert.equal(inflight.acknowledge(count, now), true);
        } else {
          inflight.sent(step.kind as FrameKind, step.bytes, now, true);
          costs.push(step.bytes + FRAME_COST);
        }
        const underWay = costs.slice(inflight.ackedCount).reduce((sum, cost) => sum + cost, 0);
        assert.equal(inflight.bytes(0) + inflight.bytes(1) + inflight.bytes(2), underWay);
        assert.ok(inflight.estimator.limit >= 32 * KIB && inflight.estimator.limit <= MOST_LIMIT);
      }
    }));
  });
});

describe("Receipts", () => {
  it("Receipts are due when 64 frames or 32 KiB came, and not before", () => {
    const frames = new Receipts();
    for (let frame = 1; frame < 64; frame++) frames.take(4);
    assert.deepEqual([frames.pending, frames.due], [true, false]);
    frames.take(4);
    assert.equal(frames.due, true);
    assert.equal(frames.acknowledge(), 64);
    assert.deepEqual([frames.pending, frames.due], [false, false]);
    frames.take(32 * KIB - 1);
    assert.equal(frames.due, false);
    frames.take(1);
    assert.equal(frames.due, true);
    assert.equal(frames.acknowledge(), 66);
  });
});
