import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Lane, Place } from "../../src/httpstream/lane.ts";

describe("Lane", () => {
  it("Lane does as a list of its members would, whoever comes and goes", () => {
    const steps = fc.array(fc.record({
      member: fc.integer({ min: 0, max: 9 }),
      lane: fc.integer({ min: 0, max: 1 }),
      goes: fc.boolean(),
    }));
    fc.assert(fc.property(steps, (steps) => {
      const places = Array.from({ length: 10 }, (_, member) => new Place(member));
      const lanes = [new Lane<number>(), new Lane<number>()];
      const lists: number[][] = [[], []];
      for (const { member, lane, goes } of steps) {
        const place = places[member];
        place.leave();
        for (const list of lists) if (list.includes(member)) list.splice(list.indexOf(member), 1);
        if (!goes) {
          lanes[lane].add(place);
          lists[lane].push(member);
        }
        lanes.forEach((lane, index) => {
          assert.deepEqual([...lane], lists[index]);
          assert.equal(lane.size, lists[index].length);
          assert.equal(lane.first, lists[index][0] ?? null);
        });
      }
    }));
  });

  it("Lane goes on with the next member when the one that it gave leaves", () => {
    const places = ["a", "b", "c"].map((name) => new Place(name));
    const lane = new Lane<string>();
    for (const place of places) lane.add(place);
    const seen: string[] = [];
    for (const name of lane) {
      seen.push(name);
      places.find(({ member }) => member === name)!.leave();
    }
    assert.deepEqual(seen, ["a", "b", "c"]);
    assert.equal(lane.first, null);
  });

  it("Lane frees every place when it is cleared", () => {
    const places = ["a", "b"].map((name) => new Place(name));
    const lane = new Lane<string>();
    for (const place of places) lane.add(place);
    lane.clear();
    assert.equal(lane.size, 0);
    for (const place of places) assert.equal(place.lane, null);
  });
});
