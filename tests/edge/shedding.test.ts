import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ShedCount } from "../../src/edge/shedding.ts";
import { FakeClock } from "../support/clock.ts";

const MINUTE_MS = 60_000;

describe("ShedCount", () => {
  it("reports the first connection at once, and the others in one count a minute", () => {
    const clock = new FakeClock();
    const reported: number[] = [];
    const shed = new ShedCount((count) => reported.push(count), clock);
    for (let i = 0; i < 1_000; i++) shed.add();
    assert.deepEqual(reported, [1]);
    clock.advance(MINUTE_MS);
    assert.deepEqual(reported, [1, 999]);
    for (let i = 0; i < 5; i++) shed.add();
    assert.deepEqual(reported, [1, 999]);
    clock.advance(MINUTE_MS);
    assert.deepEqual(reported, [1, 999, 5]);
  });

  it("begins anew after a quiet minute, without a timer until then", () => {
    const clock = new FakeClock();
    const reported: number[] = [];
    const shed = new ShedCount((count) => reported.push(count), clock);
    shed.add();
    clock.advance(MINUTE_MS);
    assert.equal(clock.pending, 0);
    shed.add();
    assert.deepEqual(reported, [1, 1]);
    shed.close();
  });

  it("reports what it has counted when it is closed", () => {
    const clock = new FakeClock();
    const reported: number[] = [];
    const shed = new ShedCount((count) => reported.push(count), clock);
    for (let i = 0; i < 3; i++) shed.add();
    shed.close();
    assert.deepEqual(reported, [1, 2]);
    assert.equal(clock.pending, 0);
  });
});
