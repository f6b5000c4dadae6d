import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Backoff } from "../../src/base/backoff.ts";

describe("Backoff", () => {
  it("draws from nothing up to a bound that doubles from 1 s to 30 s", () => {
    const backoff = new Backoff(undefined, undefined, () => 0.999_999_999);
    const delays = Array.from({ length: 8 }, () => backoff.next());
    assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    const lucky = new Backoff(undefined, undefined, () => 0);
    assert.deepEqual(Array.from({ length: 3 }, () => lucky.next()), [0, 0, 0]);
  });

  it("starts anew when it is reset", () => {
    const backoff = new Backoff(10, 1_000, () => 0.5);
    assert.deepEqual([backoff.next(), backoff.next(), backoff.next()], [5, 10, 20]);
    backoff.reset();
    assert.equal(backoff.next(), 5);
  });

  it("never passes its bounds, whatever is drawn", () => {
    const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(fc.property(fc.array(draw, { minLength: 1, maxLength: 20 }), (draws) => {
      let at = 0;
      const backoff = new Backoff(100, 5_000, () => draws[at++]);
      draws.forEach((_, index) => {
        const delay = backoff.next();
        assert.ok(delay >= 0 && delay <= Math.min(100 * 2 ** index, 5_000), `${delay} after ${index} attempts`);
      });
    }));
  });
});
