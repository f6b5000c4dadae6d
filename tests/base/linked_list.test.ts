import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LinkedList, ListNode } from "../../src/base/linked_list.ts";

class Named<T> extends ListNode<Named<T>> {
  constructor(readonly name: T) {
    super();
  }
}

describe("LinkedList", () => {
  it("LinkedList does as an array of its members would, whatever is added and removed", () => {
    const steps = fc.array(fc.record({
      member: fc.integer({ min: 0, max: 9 }),
      list: fc.integer({ min: 0, max: 1 }),
      goes: fc.boolean(),
    }));
    fc.assert(fc.property(steps, (steps) => {
      const members = Array.from({ length: 10 }, (_, name) => new Named(name));
      const linked = [new LinkedList<Named<number>>(), new LinkedList<Named<number>>()];
      const lists: number[][] = [[], []];
      for (const { member, list, goes } of steps) {
        members[member].unlink();
        for (const expected of lists) if (expected.includes(member)) expected.splice(expected.indexOf(member), 1);
        if (!goes) {
          linked[list].append(members[member]);
          lists[list].push(member);
        }
        linked.forEach((list, index) => {
          assert.deepEqual([...list].map(({ name }) => name), lists[index]);
          assert.equal(list.size, lists[index].length);
          assert.equal(list.first?.name ?? null, lists[index][0] ?? null);
        });
      }
    }));
  });

  it("LinkedList puts a member in front of another one, wherever that stands", () => {
    const list = new LinkedList<Named<string>>();
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new Named(name));
    list.append(b);
    list.insertBefore(a, b);
    list.append(d);
    list.insertBefore(c, d);
    assert.deepEqual([...list].map(({ name }) => name), ["a", "b", "c", "d"]);
    assert.deepEqual([list.first, list.last, list.size], [a, d, 4]);
    for (const member of [d, a, b, c]) list.remove(member);
    assert.deepEqual([list.first, list.last, list.size], [null, null, 0]);
  });

  it("LinkedList goes on with the next member when the one that it gave leaves", () => {
    const list = new LinkedList<Named<string>>();
    for (const name of ["a", "b", "c"]) list.append(new Named(name));
    const seen: string[] = [];
    for (const member of list) {
      seen.push(member.name);
      member.unlink();
    }
    assert.deepEqual(seen, ["a", "b", "c"]);
    assert.equal(list.first, null);
  });

  it("LinkedList frees every member when it is cleared", () => {
    const members = ["a", "b"].map((name) => new Named(name));
    const list = new LinkedList<Named<string>>();
    for (const member of members) list.append(member);
    list.clear();
    assert.equal(list.size, 0);
    for (const member of members) assert.equal(member.list, null);
  });
});
