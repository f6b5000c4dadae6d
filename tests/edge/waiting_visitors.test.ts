import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { CancelSource } from "../../src/base/mod.ts";
import { WaitingVisitors, type WaitingVisitorsOptions } from "../../src/edge/waiting_visitors.ts";
import { FakeClock } from "../support/clock.ts";

describe("WaitingVisitors", () => {
  let clock: FakeClock;
  let visitors: WaitingVisitors;

  const start = (options: WaitingVisitorsOptions = {}) => {
    clock = new FakeClock();
    visitors = new WaitingVisitors({ clock, ...options });
  };
  beforeEach(() => start());

  /** What has come of a wait so far. */
  const waiting = (tunnel = "shop", signal = new CancelSource()) => {
    const wait = { signal, result: null as boolean | null };
    const over = visitors.wait(tunnel, signal).then((result) => void (wait.result = result));
    return Object.assign(wait, { over });
  };

  it("wakes all who wait for a tunnel, and nobody else", async () => {
    const [one, two, other] = [waiting(), waiting(), waiting("blog")];
    assert.equal(visitors.size, 3);
    visitors.wake("shop");
    await Promise.all([one.over, two.over]);
    assert.deepEqual([one.result, two.result, other.result], [true, true, null]);
    assert.equal(visitors.size, 1);
    visitors.wake("nobody");
    visitors.close();
    await other.over;
  });

  it("lets a visitor wait for 10 s, and no longer", async () => {
    const wait = waiting();
    clock.advance(9_999);
    await Promise.resolve();
    assert.deepEqual([wait.result, visitors.size], [null, 1]);
    clock.advance(1);
    await wait.over;
    assert.deepEqual([wait.result, visitors.size], [false, 0]);
    assert.equal(clock.pending, 0);
  });

  it("lets a visitor who leaves leave the queue at once", async () => {
    const wait = waiting();
    wait.signal.abort("gone");
    assert.equal(visitors.size, 0);
    await wait.over;
    assert.equal(wait.result, false);
    assert.equal(clock.pending, 0);
    const late = waiting("shop", wait.signal);
    await late.over;
    assert.equal(late.result, false);
  });

  it("lets 256 wait for a tunnel, and no more until one has left", async () => {
    const first = Array.from({ length: 256 }, () => waiting());
    const surplus = waiting();
    await surplus.over;
    assert.deepEqual([surplus.result, visitors.size], [false, 256]);
    const other = waiting("blog");
    first[0]!.signal.abort("gone");
    const next = waiting();
    visitors.wake("shop");
    visitors.wake("blog");
    await Promise.all([next.over, other.over]);
    assert.deepEqual([next.result, other.result, first[0]!.result, first[255]!.result], [true, true, false, true]);
  });

  it("lets nobody wait where the time is 0, and for ever where there is no limit", async () => {
    start({ waitMs: 0 });
    const none = waiting();
    await none.over;
    assert.equal(none.result, false);
    start({ waitMs: Infinity });
    const wait = waiting();
    clock.advance(3_600_000);
    visitors.wake("shop");
    await wait.over;
    assert.equal(wait.result, true);
  });

  it("ends all waits when it is closed, and takes no others", async () => {
    const waits = [waiting(), waiting("blog")];
    visitors.close();
    for (const { over } of waits) await over;
    assert.deepEqual(waits.map(({ result }) => result), [false, false]);
    const late = waiting();
    await late.over;
    assert.deepEqual([late.result, visitors.size], [false, 0]);
  });
});
