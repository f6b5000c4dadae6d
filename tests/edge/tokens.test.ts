import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GuessLimiter, sharedToken } from "../../src/edge/tokens.ts";
import { FakeClock } from "../support/clock.ts";

describe("sharedToken", () => {
  it("gives the owner of its token, and null for any other text", () => {
    const check = sharedToken("s3cret", "me");
    assert.equal(check("s3cret"), "me");
    for (const wrong of ["", "s3cre", "s3crett", "S3cret", " s3cret", "\u0000", "x".repeat(10_000), "é"]) {
      assert.equal(check(wrong), null);
    }
  });
});

describe("GuessLimiter", () => {
  const limits = { attempts: 3, windowMs: 60_000, maxAddresses: 2 };

  it("blocks an address after its attempts, and that one alone, until the window is over", () => {
    const clock = new FakeClock();
    const limiter = new GuessLimiter(clock, limits);
    for (let attempt = 0; attempt < 3; attempt++) {
      assert.equal(limiter.isBlocked("a"), false);
      limiter.refused("a");
    }
    assert.equal(limiter.isBlocked("a"), true);
    assert.equal(limiter.isBlocked("b"), false);
    clock.advance(59_999);
    assert.equal(limiter.isBlocked("a"), true);
    clock.advance(1);
    assert.equal(limiter.isBlocked("a"), false);
  });

  it("does not lengthen the block of an address that goes on trying", () => {
    const clock = new FakeClock();
    const limiter = new GuessLimiter(clock, limits);
    for (let attempt = 0; attempt < 3; attempt++) limiter.refused("a");
    clock.advance(30_000);
    limiter.refused("a");
    clock.advance(30_000);
    assert.equal(limiter.isBlocked("a"), false);
  });

  it("forgets the oldest address when it knows too many", () => {
    const limiter = new GuessLimiter(new FakeClock(), limits);
    for (const address of ["a", "b", "c"]) {
      for (let attempt = 0; attempt < 3; attempt++) limiter.refused(address);
    }
    assert.deepEqual(["a", "b", "c"].map((address) => limiter.isBlocked(address)), [false, true, true]);
  });

  it("allows 20 attempts a minute when it is not told otherwise", () => {
    const clock = new FakeClock();
    const limiter = new GuessLimiter(clock);
    for (let attempt = 0; attempt < 19; attempt++) limiter.refused("a");
    assert.equal(limiter.isBlocked("a"), false);
    limiter.refused("a");
    assert.equal(limiter.isBlocked("a"), true);
    clock.advance(60_000);
    assert.equal(limiter.isBlocked("a"), false);
  });
});
