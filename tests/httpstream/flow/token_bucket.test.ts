import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenBucket } from "../../../src/httpstream/flow/token_bucket.ts";

describe("TokenBucket", () => {
  it("TokenBucket allows a burst at once, then so many per second", () => {
    const cap = new TokenBucket(5, 2, 0);
    const taken = (now: number) => {
      let count = 0;
      while (cap.take(now)) count++;
      return count;
    };
    assert.equal(taken(0), 5);
    assert.equal(taken(499), 0);
    assert.equal(taken(1_000), 2);
    assert.equal(taken(1_000_000), 5);
  });
});
