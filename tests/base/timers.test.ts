import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { Timeout } from "../../src/base/timers.ts";
import { FakeClock } from "../support/clock.ts";

describe("Timeout", () => {
  let clock: FakeClock;
  let due: string[];
  beforeEach(() => {
    clock = new FakeClock();
    due = [];
  });
  const make = (name: string) => new Timeout(clock, () => void due.push(`${name} at ${clock.now()}`));
  const start = (name: string, durationMs = 100) => {
    const timeout = make(name);
    timeout.start(durationMs);
    return timeout;
  };

  it("calls once when its time has passed", () => {
    start("a");
    clock.advance(99);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["a at 100"]);
    clock.advance(1_000);
    assert.deepEqual(due, ["a at 100"]);
    assert.equal(clock.pending, 0);
  });

  it("calls the method of a listener that is an object", () => {
    let calls = 0;
    new Timeout(clock, { handleTimeout: () => void calls++ }).start(10);
    clock.advance(10);
    assert.equal(calls, 1);
  });

  it("shares one timer with all of its duration", () => {
    for (const name of ["a", "b", "c"]) {
      start(name);
      clock.advance(10);
    }
    assert.equal(clock.pending, 1);
    start("other", 1_000);
    assert.equal(clock.pending, 2);
    clock.advance(70);
    assert.deepEqual(due, ["a at 100"]);
    clock.advance(10);
    assert.deepEqual(due, ["a at 100", "b at 110"]);
    clock.advance(10);
    assert.deepEqual(due, ["a at 100", "b at 110", "c at 120"]);
  });

  it("begins anew at each touch", () => {
    const timeout = start("a");
    clock.advance(60);
    timeout.touch();
    clock.advance(99);
    assert.deepEqual(due, []);
    timeout.touch();
    clock.advance(99);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["a at 259"]);
    timeout.touch();
    clock.advance(1_000);
    assert.deepEqual(due, ["a at 259"]);
  });

  it("is due at the last duration that it was started with", () => {
    const timeout = start("a");
    clock.advance(50);
    timeout.start(100);
    clock.advance(99);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["a at 150"]);
    timeout.start(1_000);
    timeout.start(10);
    clock.advance(10);
    assert.deepEqual(due, ["a at 150", "a at 160"]);
    clock.advance(10_000);
    assert.deepEqual(due, ["a at 150", "a at 160"]);
  });

  it("sets no timer when one rings early enough already", () => {
    let timers = 0;
    const counting = {
      now: () => clock.now(),
      after: (delayMs: number, callback: () => void) => {
        timers++;
        return clock.after(delayMs, callback);
      },
    };
    const timeout = new Timeout(counting, () => {});
    for (let count = 0; count < 1_000; count++) {
      timeout.start(75_000);
      clock.advance(10);
      timeout.stop();
    }
    assert.equal(timers, 1);
    timeout.close();
    assert.equal(clock.pending, 0);
  });

  it("calls nothing when it was stopped, touched before or not", () => {
    const untouched = start("untouched");
    const touched = start("touched");
    clock.advance(50);
    touched.touch();
    untouched.stop();
    untouched.stop();
    clock.advance(60);
    touched.stop();
    clock.advance(1_000);
    assert.deepEqual(due, []);
    assert.equal(clock.pending, 0);
    untouched.start(100);
    clock.advance(100);
    assert.deepEqual(due, ["untouched at 1210"]);
  });

  it("leaves no timer when it was closed, unless others need it", () => {
    const [one, other] = [start("one"), start("other")];
    one.close();
    assert.equal(clock.pending, 1);
    other.close();
    other.close();
    assert.equal(clock.pending, 0);
  });

  it("lets a listener start and stop others", () => {
    let second: Timeout | null = null;
    new Timeout(clock, () => {
      second?.stop();
      start("later");
    }).start(100);
    second = start("never");
    clock.advance(100);
    assert.deepEqual(due, []);
    clock.advance(100);
    assert.deepEqual(due, ["later at 200"]);
  });

  it("calls the others when a listener throws", () => {
    new Timeout(clock, () => {
      throw new Error("mistake");
    }).start(100);
    start("a");
    clock.advance(50);
    start("b");
    assert.throws(() => clock.advance(50), /mistake/);
    clock.advance(50);
    assert.deepEqual(due, ["a at 100", "b at 150"]);
  });

  it("is due exactly a duration after its last start or touch, for any course of events", () => {
    const step = fc.record({
      op: fc.constantFrom("start", "touch", "stop"),
      which: fc.nat(5),
      durationMs: fc.constantFrom(10, 50, 100),
      wait: fc.integer({ min: 0, max: 70 }),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new FakeClock();
      const calledAt: number[][] = [];
      const expected: number[][] = [];
      const timeouts = Array.from({ length: 6 }, (_, index) => {
        calledAt.push([]);
        expected.push([]);
        return new Timeout(clock, () => void calledAt[index].push(clock.now()));
      });
      const deadlines = timeouts.map(() => ({ durationMs: 0, at: Infinity }));
      const pass = (untilMs: number) => {
        deadlines.forEach((deadline, index) => {
          if (deadline.at > untilMs) return;
          expected[index].push(deadline.at);
          deadline.at = Infinity;
        });
      };
      for (const { op, which, durationMs, wait } of steps) {
        const deadline = deadlines[which];
        if (op === "start") {
          timeouts[which].start(durationMs);
          Object.assign(deadline, { durationMs, at: clock.now() + durationMs });
        } else if (op === "touch") {
          timeouts[which].touch();
          if (deadline.at !== Infinity) deadline.at = clock.now() + deadline.durationMs;
        } else {
          timeouts[which].stop();
          deadline.at = Infinity;
        }
        pass(clock.now() + wait);
        clock.advance(wait);
      }
      pass(clock.now() + 200);
      clock.advance(200);
      assert.deepEqual(calledAt, expected);
      assert.equal(clock.pending, 0);
    }));
  });
});
