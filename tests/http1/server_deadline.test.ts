import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Deadline } from "../../src/http1/server_deadline.ts";
import { FakeClock } from "../support/clock.ts";

function deadline() {
  const clock = new FakeClock();
  const passed: number[] = [];
  return { clock, passed, deadline: new Deadline(clock, () => passed.push(clock.now())) };
}

describe("Deadline", () => {
  it("Deadline rings once when its time has passed", () => {
    const { clock, passed, deadline: one } = deadline();
    one.set(100);
    clock.advance(99);
    assert.deepEqual(passed, []);
    clock.advance(1_000);
    assert.deepEqual(passed, [100]);
    assert.equal(clock.pending, 0);
  });

  it("Deadline rings at the last time set when it is moved back and forth", () => {
    const { clock, passed, deadline: one } = deadline();
    one.set(100);
    clock.advance(50);
    one.set(100);
    clock.advance(99);
    assert.deepEqual(passed, []);
    clock.advance(1);
    assert.deepEqual(passed, [150]);
    one.set(1_000);
    one.set(10);
    clock.advance(10);
    assert.deepEqual(passed, [150, 160]);
    clock.advance(10_000);
    assert.deepEqual(passed, [150, 160]);
  });

  it("Deadline sets no timer when one rings early enough already", () => {
    const clock = new FakeClock();
    let timers = 0;
    const counting = {
      now: () => clock.now(),
      after: (delayMs: number, callback: () => void) => {
        timers++;
        return clock.after(delayMs, callback);
      },
    };
    const one = new Deadline(counting, () => {});
    for (let count = 0; count < 1_000; count++) {
      one.set(75_000);
      clock.advance(10);
      one.clear();
    }
    assert.equal(timers, 1);
    one.stop();
    assert.equal(clock.pending, 0);
  });

  it("Deadline does not ring when it was cleared or stopped", () => {
    const { clock, passed, deadline: one } = deadline();
    one.set(100);
    one.clear();
    clock.advance(200);
    one.set(100);
    one.stop();
    assert.equal(clock.pending, 0);
    clock.advance(200);
    assert.deepEqual(passed, []);
    one.set(100);
    clock.advance(100);
    assert.deepEqual(passed, [500]);
  });
});
