import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameKind, Inflight } from "../../../src/httpstream/flow/inflight.ts";
import { keptBytes } from "../../../src/httpstream/flow/kept_bytes.ts";

const KIB = 1_024;
const FRAME_COST_BYTES = 128;
const MAX_HEADERS_BYTES = 1_024 * KIB;
const FIRST_LIMIT_BYTES = 256 * KIB;
const LEAST_LIMIT_BYTES = 64 * KIB;
const MOST_LIMIT_BYTES = 4_096 * KIB;
const LEAST_PROBE_LIMIT_BYTES = 32 * KIB;
const MIN_RTT_LIFETIME_MS = 10_000;

/** Sends DATA of `bytes` at `sentAt`, acknowledged at `ackedAt`. */
function roundTrip(inflight: Inflight, bytes: number, sentAt: number, ackedAt: number, hasBacklog = true): void {
  inflight.sent(FrameKind.DATA, bytes - FRAME_COST_BYTES, sentAt, hasBacklog);
  assert.equal(inflight.acknowledge(inflight.sentCount, ackedAt), true);
}

describe("Inflight", () => {
  it("Inflight lets each connection have 64 KiB in flight when all of them keep more than 256 MiB", () => {
    const inflight = new Inflight();
    assert.equal(inflight.availableDataBytes, 256 * 1024 - 128);
    keptBytes.all += 256 * 1024 * 1024;
    assert.equal(inflight.availableDataBytes, 256 * 1024 - 128);
    keptBytes.all += 1;
    assert.equal(inflight.availableDataBytes, 64 * 1024 - 128);
    keptBytes.all -= 256 * 1024 * 1024 + 1;
  });

  it("Inflight counts each frame with its cost until it is acknowledged", () => {
    const inflight = new Inflight();
    inflight.sent(FrameKind.DATA, 1_000, 0, false);
    inflight.sent(FrameKind.HEADERS, 200, 0, false);
    inflight.sent(FrameKind.CONTROL, 4, 0, false);
    assert.deepEqual([0, 1, 2].map((kind) => inflight.bytes(kind as FrameKind)), [1_128, 328, 132]);
    assert.equal(inflight.availableDataBytes, FIRST_LIMIT_BYTES - 1_128 - FRAME_COST_BYTES);
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
    while (inflight.canSendHeaders(block)) {
      inflight.sent(FrameKind.HEADERS, block, 0, false);
      sent++;
    }
    assert.equal(sent, Math.floor(MAX_HEADERS_BYTES / (block + FRAME_COST_BYTES)));
    inflight.acknowledge(1, 1);
    assert.equal(inflight.canSendHeaders(block), true);
  });

  it("Inflight limits DATA to twice rate and round trip when the path is busy", () => {
    const inflight = new Inflight();
    // 100 KiB acknowledged 100 ms after their sending: 1 KiB a millisecond.
    roundTrip(inflight, 100 * KIB, 0, 100);
    assert.equal(inflight.estimator.bytesPerMs, KIB);
    assert.equal(inflight.estimator.minRttMs, 100);
    assert.equal(inflight.estimator.limitBytes, 2 * KIB * 110);
  });

  it("Inflight keeps its limit within 64 KiB and 4 MiB", () => {
    const slow = new Inflight();
    roundTrip(slow, 1 * KIB, 0, 100);
    assert.equal(slow.estimator.limitBytes, LEAST_LIMIT_BYTES);
    const fast = new Inflight();
    roundTrip(fast, 64 * KIB, 0, 0.1);
    assert.equal(fast.estimator.limitBytes, MOST_LIMIT_BYTES);
  });

  it("Inflight keeps its first limit when nothing ever waited, and lets such samples raise the rate alone", () => {
    const inflight = new Inflight();
    roundTrip(inflight, 10 * KIB, 0, 100, false);
    assert.equal(inflight.estimator.limitBytes, FIRST_LIMIT_BYTES);
    roundTrip(inflight, 100 * KIB, 100, 200);
    const { limitBytes } = inflight.estimator;
    roundTrip(inflight, 10 * KIB, 200, 300, false);
    assert.equal(inflight.estimator.limitBytes, limitBytes);
    roundTrip(inflight, 200 * KIB, 300, 400, false);
    assert.equal(inflight.estimator.bytesPerMs, 2 * KIB);
  });

  it("Inflight forgets a rate when ten round trips and a second have passed", () => {
    const inflight = new Inflight();
    roundTrip(inflight, 100 * KIB, 0, 10);
    assert.equal(inflight.estimator.bytesPerMs, 10 * KIB);
    for (let at = 100; at <= 900; at += 100) roundTrip(inflight, 20 * KIB, at, at + 10);
    assert.equal(inflight.estimator.bytesPerMs, 10 * KIB);
    for (let at = 1_000; at <= 1_200; at += 100) roundTrip(inflight, 20 * KIB, at, at + 10);
    assert.equal(inflight.estimator.bytesPerMs, 2 * KIB);
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
    assert.equal(estimator.isProbing, true);
    assert.equal(estimator.limitBytes, (estimator.bytesPerMs * 100) / 2);
    // A frame that left while more than the lowered limit was in flight says nothing about the empty path.
    roundTrip(inflight, 2_000 * KIB, at + 200, at + 350);
    assert.equal(estimator.isProbing, true);
    roundTrip(inflight, 100 * KIB, at + 400, at + 520);
    assert.equal(estimator.isProbing, false);
    assert.equal(estimator.minRttMs, 120);
    assert.equal(estimator.limitBytes, estimator.bytesPerMs * 120);
    assert.ok(estimator.limitBytes < estimator.limitWithoutProbeBytes);
    roundTrip(inflight, 200 * KIB, at + 600, at + 750);
    assert.equal(estimator.limitBytes, estimator.bytesPerMs * 120 + 200 * KIB);
  });

  it("Inflight has nothing in flight when everything is acknowledged, in whatever steps", () => {
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
          costs.push(step.bytes + FRAME_COST_BYTES);
        }
        const expected = costs.slice(inflight.ackedCount).reduce((sum, cost) => sum + cost, 0);
        assert.equal(inflight.bytes(0) + inflight.bytes(1) + inflight.bytes(2), expected);
        assert.ok(
          inflight.estimator.limitBytes >= LEAST_PROBE_LIMIT_BYTES && inflight.estimator.limitBytes <= MOST_LIMIT_BYTES,
        );
      }
    }));
  });
});
