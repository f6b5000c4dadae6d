import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_NAMES, RecentNames } from "../../src/acme/recent_names.ts";
import { FakeClock } from "../support/clock.ts";

describe("RecentNames", () => {
  it("takes a name again when 10 minutes have passed", () => {
    const clock = new FakeClock();
    const names = new RecentNames(clock);
    assert.equal(names.add("a"), true);
    clock.advance(599_999);
    assert.equal(names.add("a"), false);
    clock.advance(1);
    assert.equal(names.add("a"), true);
  });

  it("forgets the oldest name when there are too many", () => {
    const names = new RecentNames(new FakeClock());
    for (let i = 0; i < MAX_NAMES; i++) names.add(`n${i}`);
    assert.equal(names.add("n0"), false);
    names.add("one more");
    assert.equal(names.add("n1"), false);
    assert.equal(names.add("n0"), true);
  });
});
