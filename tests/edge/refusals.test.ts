import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { CancelSource } from "../../src/base/mod.ts";
import { TokenRefusals } from "../../src/edge/refusals.ts";
import { never } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";

/** Waits until everything is done that needs no time. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

describe("TokenRefusals", () => {
  let clock: FakeClock;
  let reports: string[];
  let refusals: TokenRefusals;
  beforeEach(() => {
    clock = new FakeClock();
    reports = [];
    refusals = new TokenRefusals(clock, (address, count) => void reports.push(`${address}: ${count}`));
  });

  /** The answers, in the order in which they come. */
  function refuse(count: number, signal = never as Parameters<TokenRefusals["refuse"]>[1]): string[] {
    const answers: string[] = [];
    for (let i = 0; i < count; i++) void refusals.refuse("a", signal).then((code) => answers.push(code));
    return answers;
  }

  describe("the answer", () => {
    it("comes after 1 s", async () => {
      const answers = refuse(1);
      clock.advance(999);
      await settled();
      assert.deepEqual(answers, []);
      clock.advance(1);
      await settled();
      assert.deepEqual(answers, ["unauthorized"]);
    });

    it("comes at once, as too_many_attempts, while 64 wait", async () => {
      const first = refuse(64);
      const more = refuse(2);
      await settled();
      assert.deepEqual([first, more], [[], ["too_many_attempts", "too_many_attempts"]]);
      clock.advance(1_000);
      await settled();
      assert.deepEqual(first, Array(64).fill("unauthorized"));
      const next = refuse(1);
      await settled();
      assert.deepEqual(next, []);
    });

    it("waits no longer, and takes no room, when the connection has ended", async () => {
      const gone = new CancelSource();
      const answers = refuse(64, gone);
      const pending = clock.pending;
      gone.abort(new Error("gone"));
      await settled();
      assert.equal(answers.length, 64);
      assert.equal(clock.pending, pending - 64);
      const next = refuse(1);
      await settled();
      assert.deepEqual(next, []);
      assert.deepEqual(await refusals.refuse("a", gone), "unauthorized");
    });

    it("comes at once when the edge ends, and after that", async () => {
      const answers = refuse(3);
      refusals.close();
      await settled();
      assert.deepEqual(answers, Array(3).fill("unauthorized"));
      assert.equal(await refusals.refuse("a", never), "unauthorized");
      assert.equal(clock.pending, 0);
    });
  });

  describe("the report", () => {
    it("comes at once for the first token of an address, then once a minute with a count", () => {
      refuse(1);
      assert.deepEqual(reports, ["a: 1"]);
      refuse(70);
      void refusals.refuse("b", never);
      assert.deepEqual(reports, ["a: 1", "b: 1"]);
      clock.advance(59_999);
      assert.equal(reports.length, 2);
      clock.advance(1);
      assert.deepEqual(reports, ["a: 1", "b: 1", "a: 70"]);
    });

    it("begins anew, and leaves no timer, after a minute without a refusal", () => {
      refuse(2);
      clock.advance(120_000);
      assert.deepEqual(reports, ["a: 1", "a: 1"]);
      assert.equal(clock.pending, 0);
      refuse(1);
      assert.deepEqual(reports, ["a: 1", "a: 1", "a: 1"]);
    });

    it("names 256 addresses a minute, and counts those of others together", () => {
      for (let address = 0; address < 1_000; address++) void refusals.refuse(String(address), never);
      assert.equal(reports.length, 256);
      clock.advance(60_000);
      assert.deepEqual(reports.slice(256), ["null: 744"]);
      clock.advance(60_000);
      assert.equal(clock.pending, 0);
    });

    it("has what was counted last when the edge ends", () => {
      refuse(3);
      refusals.close();
      assert.deepEqual(reports, ["a: 1", "a: 2"]);
    });
  });
});
