import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Lane, Linked } from "../src/lane.ts";

class Named<T> extends Linked<Named<T>> {
  constructor(readonly name: T) {
    super();
  }
}

describe("Lane", () => {
  it("Lane does as a list of its members would, whoever comes and goes", () => {
    const steps = fc.array(fc.record({
      member: fc.integer({ min: 0, max: 9 }),
      lane: fc.integer({ min: 0, max: 1 }),
      goes: fc.boolean(),
    }));
    fc.assert(fc.property(steps, (steps) => {
      const members = Array.from({ length: 10 }, (_, name) => new Named(name));
      const lanes = [new Lane<Named<number>>(), new Lane<Named<number>>()];
      const lists: number[][] = [[], []];
      for (const { member, lane, goes } of steps) {
        members[member].leave();
        for (const list of lists) if (list.includes(member)) list.splice(list.indexOf(member), 1);
        if (!goes) {
          lanes[lane].add(members[member]);
          lists[lane].push(member);
        }
        lanes.forEach((lane, index) => {
          assert.deepEqual([...lane].map(({ name }) => name), lists[index]);
          assert.equal(lane.size, lists[index].length);
          assert.equal(lane.first?.name ?? null, lists[index][0] ?? null);
        });
      }
    }));
  });

  it("Lane goes on with the next member when the one that it gave leaves", () => {
    const lane = new Lane<Named<string>>();
    for (const name of ["a", "b", "c"]) lane.add(new Named(name));
    const seen: string[] = [];
    for (const member of lane) {
      seen.push(member.name);
      member.leave();
    }
    assert.deepEqual(seen, ["a", "b", "c"]);
    assert.equal(lane.first, null);
  });

  it("Lane frees every member when it is cleared", () => {
    const members = ["a", "b"].map((name) => new Named(name));
    const lane = new Lane<Named<string>>();
    for (const member of members) lane.add(member);
    lane.clear();
    assert.equal(lane.size, 0);
    for (const member of members) assert.equal(member.lane, null);
  });
});
