import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GrowthAccount, GrowthPool } from "../../../src/httpstream/flow/growth_pool.ts";
import { FakeClock } from "../../support/clock.ts";

const MIB = 1_048_576;
const INITIAL = 65_536;
const GROWTH_EXPIRY_MS = 10_000;

function setUp(poolBytes = 8 * MIB) {
  const clock = new FakeClock();
  const pool = new GrowthPool({ clock, poolBytes, maxWindowBytes: 4 * MIB });
  const withdrawn: number[] = [];
  const account = () => new GrowthAccount({ withdraw: (bytes) => withdrawn.push(bytes) });
  return { clock, pool, account, withdrawn };
}

describe("GrowthPool", () => {
  it("GrowthPool grants 1/32 of what is left of its first half when streams open", () => {
    const { pool, account } = setUp();
    assert.equal(pool.grantFirst(account(), INITIAL), 4 * MIB / 32);
    assert.equal(pool.grantFirst(account(), INITIAL), Math.floor((4 * MIB - 4 * MIB / 32) / 32));
    pool.stop();
  });

  it("GrowthPool keeps its second half when however many streams open", () => {
    const { pool, account } = setUp();
    for (let stream = 0; stream < 20_000; stream++) pool.grantFirst(account(), INITIAL);
    assert.ok(pool.leftBytes >= 4 * MIB);
    assert.equal(pool.grantFirst(account(), INITIAL), 0, "a grant that is not worth its frame is none");
    pool.stop();
  });

  it("GrowthPool grows a window when a consumer took all of it within two round trips and ran dry", () => {
    const { pool, account } = setUp();
    const stream = account();
    assert.equal(pool.consumed(stream, INITIAL / 2, INITIAL, true, 20), 0, "half a window is not a whole one");
    assert.equal(pool.consumed(stream, INITIAL / 2, INITIAL, false, 20), INITIAL);
    pool.stop();
  });

  it("GrowthPool does not grow a window when its reader is the slow one", () => {
    const { pool, account, clock } = setUp();
    const behind = account();
    assert.equal(pool.consumed(behind, INITIAL, INITIAL, false, 20), 0, "something always waited");
    const slow = account();
    clock.advance(61);
    assert.equal(pool.consumed(slow, INITIAL, INITIAL, true, 20), 0, "it took longer than two round trips");
    assert.equal(pool.leftBytes, 8 * MIB);
  });

  it("GrowthPool grants at most half of what is left, and no window beyond the largest", () => {
    const { pool, account } = setUp();
    const streams = Array.from({ length: 8 }, account);
    let left = 4 * MIB;
    for (const stream of streams) {
      const grant = pool.consumed(stream, 2 * MIB, 2 * MIB, true, 20);
      assert.ok(grant <= left / 2, `${grant} of ${left}`);
      left -= grant;
    }
    assert.ok(left > 0);
    const other = setUp();
    const large = other.account();
    assert.equal(other.pool.consumed(large, 3.5 * MIB, 3.5 * MIB, true, 20), 0.5 * MIB);
    assert.equal(other.pool.consumed(large, 4 * MIB, 4 * MIB, true, 20), 0);
    pool.stop();
    other.pool.stop();
  });

  it("GrowthPool withdraws growth when it was not consumed for 10 s, and keeps what was", () => {
    const { pool, account, clock, withdrawn } = setUp();
    const idle = account();
    const busy = account();
    const granted = pool.grantFirst(idle, INITIAL);
    const used = pool.grantFirst(busy, INITIAL);
    clock.advance(GROWTH_EXPIRY_MS - 1);
    assert.deepEqual(withdrawn, []);
    pool.consumed(busy, 50_000, INITIAL + used, true, 20);
    clock.advance(1);
    assert.deepEqual(withdrawn, [granted, used - 50_000]);
    assert.equal(pool.leftBytes, 8 * MIB - 50_000);
    clock.advance(GROWTH_EXPIRY_MS);
    assert.deepEqual(withdrawn.slice(2), [50_000]);
    assert.equal(pool.leftBytes, 8 * MIB);
    assert.equal(clock.pending, 0);
  });

  it("GrowthPool has everything back when its streams are released", () => {
    const { pool, account, clock, withdrawn } = setUp();
    const streams = Array.from({ length: 50 }, account);
    for (const stream of streams) {
      pool.grantFirst(stream, INITIAL);
      pool.consumed(stream, INITIAL, INITIAL, true, 20);
    }
    assert.ok(pool.leftBytes < 4 * MIB);
    for (const stream of streams) pool.release(stream);
    for (const stream of streams) pool.release(stream);
    assert.equal(pool.leftBytes, 8 * MIB);
    pool.stop();
    clock.advance(GROWTH_EXPIRY_MS * 2);
    assert.deepEqual(withdrawn, []);
    assert.equal(clock.pending, 0);
  });
});
