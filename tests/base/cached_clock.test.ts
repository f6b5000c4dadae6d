import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { CachedClock, cachedClock } from "../../src/base/cached_clock.ts";
import { FakeClock } from "../support/clock.ts";

const tickEnd = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("CachedClock", () => {
  it("stands still within a tick and goes on with the next one", async () => {
    const source = new FakeClock();
    const clock = new CachedClock(source);
    for (let tick = 0; tick < 3; tick++) {
      const time = source.now();
      assert.equal(clock.now(), time);
      source.advance(5);
      assert.equal(clock.now(), time);
      await Promise.resolve();
      assert.equal(clock.now(), time);
      await tickEnd();
    }
  });

  it("sets timers of the clock behind it", () => {
    const source = new FakeClock();
    const clock = new CachedClock(source);
    let rang = 0;
    clock.after(10, () => rang++);
    clock.after(10, () => rang++).cancel();
    source.advance(10);
    assert.equal(rang, 1);
  });
});

describe("cachedClock", () => {
  it("leaves a clock of somebody else's as it is", () => {
    const clock = new FakeClock();
    assert.equal(cachedClock(clock), clock);
    assert.ok(cachedClock(systemClock) instanceof CachedClock);
  });
});
