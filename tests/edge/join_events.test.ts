import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { joinEvents } from "../../src/edge/join_events.ts";

describe("joinEvents", () => {
  it("tells each of several, in their order, with all arguments", () => {
    const told: unknown[][] = [];
    const joined = joinEvents(
      { onShed: (count) => void told.push(["first", count]) },
      { onReplaced: (...args) => void told.push(["second", ...args]) },
      { onShed: (count) => void told.push(["third", count]) },
    );
    joined.onShed?.(3, "descriptors");
    joined.onReplaced?.("shop", "why");
    assert.deepEqual(told, [["first", 3], ["third", 3], ["second", "shop", "why"]]);
  });

  it("has no method that none of them has, since requests are observed where there is one for them", () => {
    assert.deepEqual(Object.keys(joinEvents({}, { onShed() {} })), ["onShed"]);
  });
});
