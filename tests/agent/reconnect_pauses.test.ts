import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReconnectPauses } from "../../src/agent/reconnect_pauses.ts";
import { Backoff } from "../../src/base/backoff.ts";
import { FakeClock } from "../support/clock.ts";

/** Waits for so many pauses, and returns them. */
function waitOut(pauses: ReconnectPauses, clock: FakeClock, count: number): number[] {
  return Array.from({ length: count }, () => {
    const pauseMs = pauses.next();
    clock.advance(pauseMs);
    return pauseMs;
  });
}

describe("ReconnectPauses", () => {
  it("ReconnectPauses stay under 3 s for 30 s, and grow to 30 s afterwards", () => {
    const clock = new FakeClock();
    const pauses = new ReconnectPauses(clock, undefined, () => 1);
    const soon = [1_000, 2_000, ...Array<number>(9).fill(3_000)];
    assert.deepEqual(waitOut(pauses, clock, 11), soon);
    const later = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    assert.deepEqual(waitOut(pauses, clock, 7), later);
    pauses.reset();
    assert.deepEqual(waitOut(pauses, clock, 11), soon);
  });

  it("ReconnectPauses draw each pause between nothing and its bound", () => {
    const half = new ReconnectPauses(new FakeClock(), undefined, () => 0.5);
    assert.deepEqual([half.next(), half.next(), half.next()], [500, 1_000, 1_500]);
    assert.equal(new ReconnectPauses(new FakeClock(), undefined, () => 0).next(), 0);
  });

  it("ReconnectPauses are those of a backoff where one is given", () => {
    const clock = new FakeClock();
    const pauses = new ReconnectPauses(clock, new Backoff(2, 8, () => 1));
    assert.deepEqual(waitOut(pauses, clock, 4), [2, 4, 8, 8]);
    clock.advance(60_000);
    assert.equal(pauses.next(), 8);
    pauses.reset();
    assert.equal(pauses.next(), 2);
  });
});
