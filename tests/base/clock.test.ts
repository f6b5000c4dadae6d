import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_TIMER_MS, systemClock } from "../../src/base/clock.ts";

describe("systemClock", () => {
  it("waits when a delay is longer than the runtime's timers take", async () => {
    const fired: number[] = [];
    const delays = [MAX_TIMER_MS, MAX_TIMER_MS + 1, 2 ** 32, 1e15, Number.MAX_SAFE_INTEGER, Infinity];
    const timers = delays.map((delayMs) => systemClock.after(delayMs, () => void fired.push(delayMs)));
    // A timer that overflowed fires after 1 ms, so before one that is started behind it.
    await new Promise<void>((resolve) => void setTimeout(resolve, 20));
    assert.deepEqual(fired, []);
    for (const timer of timers) timer.cancel();
  });

  it("does not keep the process alive with a long timer, and cancels it twice", () => {
    const timer = systemClock.after(2 ** 40, () => assert.fail("it fired"));
    timer.cancel();
    timer.cancel();
  });
});
