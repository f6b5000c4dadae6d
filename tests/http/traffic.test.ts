import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DURATION_BOUNDS_MS, Traffic } from "../../src/http/traffic.ts";

describe("Traffic", () => {
  it("counts exchanges by the hundreds of their status, and those without one by themselves", () => {
    const traffic = new Traffic();
    for (const status of [0, 101, 200, 204, 304, 404, 499, 500, 599, 600, 999]) traffic.ended(status, 1);
    assert.deepEqual(traffic.byStatus, [1, 1, 2, 1, 2, 4]);
  });

  it("counts durations up to each bound, that one included, and what is longer", () => {
    for (const [index, bound] of DURATION_BOUNDS_MS.entries()) {
      const traffic = new Traffic();
      traffic.ended(200, bound);
      traffic.ended(200, bound + 0.001);
      const expected = DURATION_BOUNDS_MS.map((_, other) => Number(other === index || other === index + 1));
      assert.deepEqual(traffic.byDuration, [...expected, Number(index === DURATION_BOUNDS_MS.length - 1)]);
      assert.equal(traffic.durationMs, bound + (bound + 0.001));
    }
  });

  it("has bounds that grow", () => {
    assert.deepEqual([...DURATION_BOUNDS_MS].sort((a, b) => a - b), DURATION_BOUNDS_MS);
  });
});
