import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TokenBucket } from "../../src/base/token_bucket.ts";

describe("TokenBucket", () => {
  it("TokenBucket allows a burst at once, then so many per second", () => {
    const bucket = new TokenBucket(5, 2, 0);
    const taken = (now: number) => {
      let count = 0;
      while (bucket.take(now)) count++;
      return count;
    };
    assert.equal(taken(0), 5);
    assert.equal(taken(499), 0);
    assert.equal(taken(1_000), 2);
    assert.equal(taken(1_000_000), 5);
  });

  it("TokenBucket says how long until there is a token when it is empty", () => {
    const bucket = new TokenBucket(2, 4, 0);
    assert.equal(bucket.waitMs(0), 0);
    bucket.take(0);
    bucket.take(0);
    assert.equal(bucket.waitMs(0), 250);
    assert.equal(bucket.waitMs(100), 150);
    assert.equal(bucket.take(249), false);
    assert.equal(bucket.take(250), true);
  });

  it("TokenBucket queues what is spent beyond its tokens, each behind what came before", () => {
    const bucket = new TokenBucket(1_000, 1_000, 0);
    assert.equal(bucket.spend(0, 1_000), 0);
    assert.equal(bucket.spend(0, 500), 500);
    assert.equal(bucket.spend(0, 500), 1_000);
    assert.equal(bucket.spend(1_000, 100), 100);
    assert.equal(bucket.take(1_000), false);
    assert.equal(bucket.spend(60_000, 1_000), 0);
  });

  it("TokenBucket never lets more pass than its burst and its rate, whenever it is asked", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 300 })), {
      maxLength: 50,
    });
    fc.assert(fc.property(steps, (steps) => {
      const bucket = new TokenBucket(100, 200, 0);
      let now = 0;
      const passes: [at: number, count: number][] = [];
      for (const [pauseMs, count] of steps) {
        now += pauseMs;
        passes.push([now + bucket.spend(now, count), count]);
      }
      passes.sort(([a], [b]) => a - b);
      let passed = 0;
      for (const [at, count] of passes) {
        passed += count;
        assert.ok(passed <= 100 + at * 0.2 + 1e-6, `${passed} at ${at} ms`);
      }
    }));
  });
});
