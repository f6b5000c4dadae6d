import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { coarseClock } from "../../src/base/coarse_clock.ts";
import { FakeClock } from "../support/clock.ts";

describe("coarseClock", () => {
  it("coarseClock rings timers together when they are due in the same fiftieth of their delay", () => {
    const clock = new FakeClock();
    const coarse = coarseClock(clock);
    const rung: string[] = [];
    coarse.after(12_430, () => rung.push(`a at ${clock.now()}`));
    clock.advance(40);
    coarse.after(12_370, () => rung.push(`b at ${clock.now()}`));
    coarse.after(12_461, () => rung.push(`c at ${clock.now()}`));
    assert.equal(clock.pending, 2);
    clock.advance(12_459);
    assert.deepEqual(rung, []);
    clock.advance(1_000);
    assert.deepEqual(rung, ["a at 12500", "b at 12500", "c at 12600"]);
    assert.equal(clock.pending, 0);
  });

  for (const delayMs of [0, 1, 7, 49, 50, 499, 501, 4_999, 5_001, 12_437, 49_999, 123_456]) {
    it(`coarseClock rings never early, and at most 2 % late, when the delay is ${delayMs} ms`, () => {
      const clock = new FakeClock();
      clock.advance(17);
      let late = -1;
      coarseClock(clock).after(delayMs, () => late = clock.now() - 17 - delayMs);
      clock.advance(2 * delayMs + 10);
      assert.ok(late >= 0 && late <= Math.max(1, delayMs / 50), `${late} ms late`);
    });
  }

  it("coarseClock is the same clock when it is asked for twice", () => {
    const clock = new FakeClock();
    assert.equal(coarseClock(clock), coarseClock(clock));
    assert.notEqual(coarseClock(clock), coarseClock(new FakeClock()));
    clock.advance(5);
    assert.equal(coarseClock(clock).now(), 5);
  });

  it("coarseClock ends the timer of the runtime's when the last one on it is canceled", () => {
    const clock = new FakeClock();
    const coarse = coarseClock(clock);
    const rung: string[] = [];
    const timers = ["a", "b"].map((name) => coarse.after(10_000, () => rung.push(name)));
    assert.equal(clock.pending, 1);
    timers[0].cancel();
    timers[0].cancel();
    assert.equal(clock.pending, 1);
    timers[1].cancel();
    assert.equal(clock.pending, 0);
    coarse.after(10_000, () => rung.push("c"));
    clock.advance(20_000);
    timers[1].cancel();
    assert.deepEqual(rung, ["c"]);
  });

  it("coarseClock takes new timers, and canceled ones, when it is ringing", () => {
    const clock = new FakeClock();
    const coarse = coarseClock(clock);
    const rung: string[] = [];
    coarse.after(10_000, () => {
      rung.push(`a at ${clock.now()}`);
      canceled.cancel();
      coarse.after(0, () => rung.push(`c at ${clock.now()}`));
    });
    const canceled = coarse.after(10_000, () => rung.push("b"));
    clock.advance(10_000);
    assert.deepEqual(rung, ["a at 10000", "c at 10000"]);
    assert.equal(clock.pending, 0);
  });

  it("coarseClock rings the others when the callback of one throws", () => {
    const clock = new FakeClock();
    const coarse = coarseClock(clock);
    const rung: string[] = [];
    coarse.after(10_000, () => {
      throw new Error("broken");
    });
    coarse.after(10_000, () => rung.push("b"));
    assert.throws(() => clock.advance(10_000), /broken/);
    clock.advance(0);
    assert.deepEqual(rung, ["b"]);
    assert.equal(clock.pending, 0);
  });
});
