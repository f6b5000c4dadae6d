import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnBucket } from "../../src/limits/turn_bucket.ts";
import { FakeClock } from "../support/clock.ts";

/** A rate of 1,000 bytes a second, which has just been taken all, and what has passed since. */
function stage() {
  const clock = new FakeClock();
  const bucket = new TurnBucket(1_000, 1_000, clock);
  bucket.count(1_000);
  const passed: string[] = [];
  const take = (visitor: string, bytes = 100) => bucket.take(visitor, bytes, () => passed.push(visitor));
  return { clock, bucket, passed, take };
}

describe("TurnBucket", () => {
  it("lets bytes pass at once while there are enough, and others when theirs have come", () => {
    const clock = new FakeClock();
    const bucket = new TurnBucket(1_000, 1_000, clock);
    const passedAt: number[] = [];
    const take = (bytes: number) => bucket.take("a", bytes, () => passedAt.push(clock.now()));
    assert.equal(take(1_000), null);
    assert.notEqual(take(100), null);
    assert.notEqual(take(200), null);
    assert.equal(bucket.isFree, false);
    clock.advance(1_300);
    assert.deepEqual(passedAt, [100, 300]);
    assert.equal(bucket.isFree, true);
    assert.equal(take(1_000), null);
    assert.equal(clock.pending, 0);
  });

  it("takes a piece of each visitor in turn, those of one in their order", () => {
    const { clock, passed, take } = stage();
    for (const visitor of ["a", "a", "a", "a", "b", "b", "c"]) take(visitor);
    clock.advance(250);
    take("d");
    clock.advance(1_000);
    assert.deepEqual(passed, ["a", "a", "b", "c", "a", "b", "d", "a"]);
    assert.equal(clock.pending, 0);
  });

  it("counts what takes its next piece at its turn, and lets it go behind the others", () => {
    const { clock, bucket, passed, take } = stage();
    const again = (left: number) => {
      passed.push("a");
      if (left > 0) bucket.take("a", 100, () => again(left - 1));
    };
    bucket.take("a", 100, () => again(2));
    take("b");
    take("c");
    clock.advance(1_000);
    assert.deepEqual(passed, ["a", "b", "c", "a", "a"]);
  });

  it("gives back what is canceled, whose place the next one gets", () => {
    const { clock, passed, take } = stage();
    const [first, second] = [take("a", 500), take("a", 300)];
    take("b");
    first!.cancel();
    second!.cancel();
    clock.advance(100);
    assert.deepEqual(passed, ["b"]);
    take("c")!.cancel();
    assert.equal(clock.pending, 0);
  });

  it("lets a piece pass that is larger than what may pass at once", () => {
    const { clock, passed, take } = stage();
    take("a", 5_000);
    clock.advance(4_999);
    assert.deepEqual(passed, []);
    clock.advance(1);
    assert.deepEqual(passed, ["a"]);
  });
});
