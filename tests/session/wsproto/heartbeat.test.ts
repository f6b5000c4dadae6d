import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { JsonHeartbeat } from "../../../src/session/wsproto/heartbeat.ts";
import { closeReason } from "../../../src/session/wsproto/link.ts";
import { FakeClock } from "../../support/clock.ts";
import { FakeJsonLink } from "../../support/json_link.ts";

describe("JsonHeartbeat", () => {
  let clock: FakeClock;
  let link: FakeJsonLink;
  let isExempt: boolean;
  let isBusy: boolean;
  let deaths: number[];
  let heartbeat: JsonHeartbeat;

  beforeEach(() => {
    clock = new FakeClock();
    link = new FakeJsonLink("edge");
    isExempt = false;
    isBusy = false;
    deaths = [];
    heartbeat = new JsonHeartbeat(link, clock, {
      isExempt: () => isExempt,
      isBusy: () => isBusy,
      onDead: (silentMs) => void deaths.push(silentMs),
    });
  });

  it("pings after 10 s of silence and gives up after 25 s", () => {
    clock.advance(9_999);
    assert.equal(link.pings, 0);
    clock.advance(1);
    assert.equal(link.pings, 1);
    clock.advance(14_999);
    assert.deepEqual(deaths, []);
    clock.advance(1);
    assert.deepEqual(deaths, [25_000]);
    assert.equal(clock.pending, 0);
  });

  it("counts from the last byte, whenever that came", () => {
    clock.advance(9_000);
    heartbeat.onBytes();
    clock.advance(9_999);
    assert.equal(link.pings, 0);
    clock.advance(1);
    assert.equal(link.pings, 1);
    clock.advance(15_000);
    assert.deepEqual(deaths, [25_000]);
  });

  it("pings again and again while the other end answers", () => {
    for (let round = 0; round < 20; round++) {
      clock.advance(10_000);
      heartbeat.onPong();
    }
    assert.deepEqual(deaths, []);
    assert.ok(link.pings >= 9, String(link.pings));
  });

  it("counts no silence while it is exempt", () => {
    isExempt = true;
    clock.advance(100_000);
    assert.deepEqual([link.pings, deaths], [0, []]);
    isExempt = false;
    clock.advance(25_000);
    assert.deepEqual(deaths, [25_000]);
  });

  it("gives up after 75 s of silence while the other end is busy, and after 25 s once it is not", () => {
    isBusy = true;
    clock.advance(74_999);
    assert.deepEqual([link.pings, deaths], [1, []]);
    clock.advance(1);
    assert.deepEqual(deaths, [75_000]);
  });

  it("counts silence from the last byte when the other end is no longer busy", () => {
    isBusy = true;
    clock.advance(60_000);
    heartbeat.onBytes();
    isBusy = false;
    clock.advance(24_999);
    assert.deepEqual(deaths, []);
    clock.advance(1);
    assert.deepEqual(deaths, [25_000]);
  });

  it("takes the other end for alive when it is asked while busy", async () => {
    isBusy = true;
    const alive = heartbeat.ping(3_000);
    clock.advance(3_000);
    assert.equal(await alive, true);
  });

  it("asks, and tells whether a pong came in time", async () => {
    const alive = heartbeat.ping(3_000);
    assert.equal(link.pings, 1);
    heartbeat.onPong();
    assert.equal(await alive, true);
    const dead = heartbeat.ping(3_000);
    heartbeat.onBytes();
    clock.advance(3_000);
    assert.equal(await dead, false);
  });

  it("tells who asked, and leaves no timer, when it is stopped", async () => {
    const alive = heartbeat.ping(3_000);
    heartbeat.stop();
    assert.equal(await alive, false);
    assert.equal(clock.pending, 0);
  });
});

describe("closeReason", () => {
  it("keeps what a close frame can carry, in whole characters", () => {
    assert.equal(closeReason("all of it"), "all of it");
    assert.equal(closeReason("x".repeat(200)), "x".repeat(123));
    assert.equal(closeReason("é".repeat(200)), "é".repeat(61));
    assert.equal(closeReason("😀".repeat(200)), "😀".repeat(30));
  });
});
