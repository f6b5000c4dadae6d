import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FLOOD_BURST, FLOOD_PER_SECOND, FloodBudget } from "../../src/base/mod.ts";

/** How many frames without use are taken, of at most `most`. */
function taken(budget: FloodBudget, now: number, useful: number, most = 1_000_000, cost = 1): number {
  for (let count = 0; count < most; count++) if (!budget.take(now, useful, cost)) return count;
  return most;
}

describe("FloodBudget", () => {
  it("takes a burst at once, and no more", () => {
    assert.equal(taken(new FloodBudget(0), 0, 0), FLOOD_BURST);
    assert.equal(taken(new FloodBudget(0, 3, 1), 0, 0), 3);
  });

  it("takes one more for each useful frame, up to 65,536 that were not used", () => {
    assert.equal(taken(new FloodBudget(0), 0, 5_000), FLOOD_BURST + 5_000);
    assert.equal(taken(new FloodBudget(0), 0, 1_000_000), FLOOD_BURST + 65_536);
  });

  it("takes some each second for ever, and saves no more than a burst", () => {
    const budget = new FloodBudget(0);
    taken(budget, 0, 0);
    for (let second = 1; second <= 4 * 3_600; second++) {
      assert.equal(taken(budget, second * 1_000, 0, FLOOD_PER_SECOND - 1), FLOOD_PER_SECOND - 1);
    }
    assert.equal(taken(budget, 1e9, 0), FLOOD_BURST);
  });

  it("takes frames of a part of the cost as often", () => {
    assert.equal(taken(new FloodBudget(0, 10, 1), 0, 0, 1_000_000, 1 / 64), 640);
    const budget = new FloodBudget(0, 10, 1);
    assert.equal(budget.take(0, 5, 15), true, "paid by both");
    assert.equal(budget.take(0, 5, 1), false);
  });

  it("gives nothing back where the clock goes back", () => {
    const budget = new FloodBudget(1_000, 1, 1_000);
    assert.equal(taken(budget, 1_000, 0), 1);
    assert.equal(budget.take(0, 0), false);
  });
});
