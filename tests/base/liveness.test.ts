import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Liveness } from "../../src/base/liveness.ts";
import { FakeClock } from "../support/clock.ts";

function setUp() {
  const clock = new FakeClock();
  const events: string[] = [];
  const liveness = new Liveness({
    clock,
    pingAfterMs: 10_000,
    deadAfterMs: 25_000,
    onSilence: () => events.push(`ping at ${clock.now()}`),
    onDead: (reason) => events.push(`${reason} at ${clock.now()}`),
  });
  return { clock, events, liveness };
}

describe("Liveness", () => {
  it("Liveness asks after 10 s of silence and gives up after 25 s", () => {
    const { clock, events } = setUp();
    clock.advance(60_000);
    assert.deepEqual(events, ["ping at 10000", "Nothing was heard for 25000 ms at 25000"]);
    assert.equal(clock.pending, 0);
  });

  it("Liveness gives a peer more time while it is given some extra", () => {
    const clock = new FakeClock();
    const deaths: number[] = [];
    let extra = 50_000;
    const liveness = new Liveness({
      clock,
      pingAfterMs: 10_000,
      deadAfterMs: 25_000,
      onSilence: () => {},
      onDead: () => deaths.push(clock.now()),
      extraMs: () => extra,
    });
    clock.advance(70_000);
    liveness.heard(clock.now());
    extra = 0;
    clock.advance(24_999);
    assert.deepEqual(deaths, []);
    clock.advance(1);
    assert.deepEqual(deaths, [95_000]);
  });

  it("Liveness asks once for each silence when the peer answers", () => {
    const { clock, events, liveness } = setUp();
    clock.advance(9_000);
    liveness.heard(clock.now());
    clock.advance(9_999);
    assert.deepEqual(events, []);
    clock.advance(1);
    assert.deepEqual(events, ["ping at 19000"]);
    liveness.heard(clock.now());
    clock.advance(10_000);
    assert.deepEqual(events, ["ping at 19000", "ping at 29000"]);
    liveness.stop();
    assert.equal(clock.pending, 0);
  });

  it("Liveness gives up when bytes come but nothing is acknowledged for 25 s", () => {
    const { clock, events, liveness } = setUp();
    clock.advance(3_000);
    liveness.sent(clock.now());
    for (let second = 0; second < 40; second++) {
      clock.advance(1_000);
      liveness.heard(clock.now());
      liveness.sent(clock.now());
      if (clock.now() === 13_000) liveness.progressed(clock.now(), true);
    }
    assert.deepEqual(events, ["Nothing was acknowledged for 25000 ms at 38000"]);
  });

  it("Liveness expects no acknowledgement when all frames are acknowledged", () => {
    const { clock, events, liveness } = setUp();
    liveness.sent(0);
    liveness.progressed(0, false);
    for (let second = 0; second < 100; second++) {
      clock.advance(1_000);
      liveness.heard(clock.now());
    }
    assert.deepEqual(events, []);
    liveness.stop();
  });
});
