import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { WaitTime } from "../../src/base/wait_time.ts";

describe("WaitTime", () => {
  it("counts those that still wait when it is asked", () => {
    const wait = new WaitTime();
    wait.begin(100);
    assert.deepEqual([wait.waiting, wait.totalMs(130)], [1, 30]);
    wait.begin(130);
    assert.deepEqual([wait.waiting, wait.totalMs(140)], [2, 50]);
    wait.end(100, 150);
    assert.deepEqual([wait.waiting, wait.totalMs(150)], [1, 70]);
    wait.end(130, 150);
    assert.deepEqual([wait.waiting, wait.totalMs(999)], [0, 70]);
  });

  it("never tells less than before when one begins behind the time that is asked for", () => {
    const wait = new WaitTime();
    wait.begin(0);
    wait.end(0, 10);
    assert.equal(wait.totalMs(20), 10);
    wait.begin(30);
    assert.equal(wait.totalMs(20), 10);
    assert.equal(wait.totalMs(35), 15);
  });

  it("has the sum of all waits when they overlap in any way", () => {
    const waits = fc.array(fc.record({ startedAt: fc.nat(1_000), lengthMs: fc.nat(1_000) }), { maxLength: 50 });
    fc.assert(fc.property(waits, fc.nat(2_500), (waits, lastAt) => {
      const wait = new WaitTime();
      const moves = waits.flatMap(({ startedAt, lengthMs }) => [
        { at: startedAt, move: () => wait.begin(startedAt) },
        { at: startedAt + lengthMs, move: () => wait.end(startedAt, startedAt + lengthMs) },
      ]);
      for (const { at, move } of moves.sort((a, b) => a.at - b.at)) if (at <= lastAt) move();
      const expected = waits.reduce((sum, { startedAt, lengthMs }) => {
        return sum + Math.max(0, Math.min(lastAt, startedAt + lengthMs) - startedAt);
      }, 0);
      assert.equal(wait.totalMs(lastAt), expected);
    }));
  });
});
