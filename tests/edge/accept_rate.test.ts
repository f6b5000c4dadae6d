import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AcceptRate } from "../../src/edge/accept_rate.ts";

const taken = (rate: AcceptRate, owner: string, count: number, now: number) =>
  Array.from({ length: count }, () => rate.take(owner, now)).filter(Boolean).length;

describe("AcceptRate", () => {
  it("AcceptRate takes 250 agents of one token at once, then 200 a second", () => {
    const rate = new AcceptRate(0);
    assert.equal(taken(rate, "a", 300, 0), 250);
    assert.equal(taken(rate, "a", 300, 1_000), 200);
  });

  it("AcceptRate takes 500 agents of all tokens at once, then 400 a second", () => {
    const rate = new AcceptRate(0);
    const owners = ["a", "b", "c", "d"];
    const all = (now: number) => owners.reduce((sum, owner) => sum + taken(rate, owner, 200, now), 0);
    assert.equal(all(0), 500);
    assert.equal(all(1_000), 400);
  });

  it("AcceptRate leaves half of it to the others when one token takes all that it can", () => {
    const rate = new AcceptRate(0);
    taken(rate, "greedy", 10_000, 0);
    assert.equal(taken(rate, "other", 250, 0), 250);
  });

  it("AcceptRate forgets the owner that came first when it knows a thousand", () => {
    const rate = new AcceptRate(0);
    taken(rate, "first", 250, 0);
    assert.equal(rate.take("first", 0), false);
    for (let index = 0; index < 1_000; index++) rate.take(`owner ${index}`, 60_000);
    assert.equal(taken(rate, "first", 300, 120_000), 250);
  });
});
