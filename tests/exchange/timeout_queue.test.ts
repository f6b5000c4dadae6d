import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { type Timeout, TimeoutQueue } from "../../src/exchange/timeout_queue.ts";
import { FakeClock } from "../support/clock.ts";

describe("TimeoutQueue", () => {
  let clock: FakeClock;
  let queue: TimeoutQueue;
  let due: string[];
  beforeEach(() => {
    clock = new FakeClock();
    queue = new TimeoutQueue(clock, 100);
    due = [];
  });
  const add = (name: string) => queue.add(() => void due.push(name));

  it("calls once when the length has passed", () => {
    add("a");
    clock.advance(99);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["a"]);
    clock.advance(1_000);
    assert.deepEqual(due, ["a"]);
    assert.equal(clock.pending, 0);
  });

  it("shares one timer among timeouts that were not touched", () => {
    for (const name of ["a", "b", "c"]) {
      add(name);
      clock.advance(10);
    }
    assert.equal(clock.pending, 1);
    clock.advance(70);
    assert.deepEqual(due, ["a"]);
    clock.advance(10);
    assert.deepEqual(due, ["a", "b"]);
    clock.advance(10);
    assert.deepEqual(due, ["a", "b", "c"]);
  });

  it("pushes the deadline to a full length from the last touch", () => {
    const timeout = add("a");
    clock.advance(60);
    timeout.touch();
    clock.advance(99);
    assert.deepEqual(due, []);
    timeout.touch();
    clock.advance(99);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["a"]);
  });

  it("calls nothing when it was cancelled, young or touched", () => {
    const young = add("young");
    const touched = add("touched");
    clock.advance(50);
    touched.touch();
    young.cancel();
    young.cancel();
    clock.advance(60);
    touched.cancel();
    clock.advance(1_000);
    assert.deepEqual(due, []);
    assert.equal(clock.pending, 0);
  });

  it("works anew when it was empty", () => {
    add("a").cancel();
    clock.advance(1_000);
    add("b");
    clock.advance(100);
    assert.deepEqual(due, ["b"]);
  });

  it("lets a callback add and cancel others", () => {
    let second: Timeout | null = null;
    queue.add(() => {
      second?.cancel();
      add("later");
    });
    second = add("never");
    clock.advance(100);
    assert.deepEqual(due, []);
    clock.advance(100);
    assert.deepEqual(due, ["later"]);
  });

  it("is due exactly a length after the last touch, for any course of events", () => {
    const step = fc.record({
      op: fc.constantFrom("add", "touch", "cancel"),
      which: fc.nat(9),
      wait: fc.integer({ min: 0, max: 70 }),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new FakeClock();
      const queue = new TimeoutQueue(clock, 100);
      const deadlines: number[] = [];
      const calledAt: (number | undefined)[] = [];
      const timeouts: Timeout[] = [];
      for (const { op, which, wait } of steps) {
        const isRunning = timeouts[which] !== undefined && calledAt[which] === undefined;
        if (op === "add") {
          const index = timeouts.length;
          deadlines.push(clock.now() + 100);
          timeouts.push(queue.add(() => void (calledAt[index] = clock.now())));
        } else if (op === "touch" && isRunning && deadlines[which] !== Infinity) {
          timeouts[which].touch();
          deadlines[which] = clock.now() + 100;
        } else if (op === "cancel" && isRunning) {
          timeouts[which].cancel();
          deadlines[which] = Infinity;
        }
        clock.advance(wait);
      }
      clock.advance(200);
      const expected = deadlines.map((deadline) => deadline === Infinity ? undefined : deadline);
      assert.deepEqual(timeouts.map((_, index) => calledAt[index]), expected);
      assert.equal(clock.pending, 0);
    }));
  });
});
