import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { IdMap } from "../../src/httpstream/id_map.ts";
import { MAX_U31 } from "../../src/httpstream/wire/mod.ts";

describe("IdMap", () => {
  it("IdMap does as a Map would, whichever ids come and go", () => {
    // Ids that meet in few slots, as those of long-lived streams do with new ones, and any other.
    const id = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 12 }).map((k) => 2 + k * 32),
      fc.integer({ min: 1, max: MAX_U31 }),
    );
    const steps = fc.array(fc.record({ id, goes: fc.boolean() }), { maxLength: 200 });
    fc.assert(fc.property(steps, (steps) => {
      const map = new IdMap<{ readonly id: number }>();
      const model = new Map<number, { readonly id: number }>();
      for (const { id, goes } of steps) {
        if (goes) {
          map.delete(id);
          model.delete(id);
        } else if (!model.has(id)) {
          const member = { id };
          map.add(member);
          model.set(id, member);
        }
        assert.equal(map.size, model.size);
        for (const { id } of steps) assert.equal(map.get(id), model.get(id) ?? null);
      }
      const byId = (a: { id: number }, b: { id: number }) => a.id - b.id;
      assert.deepEqual(map.values().sort(byId), [...model.values()].sort(byId));
    }));
  });

  it("IdMap gives what is in it now, whatever becomes of it meanwhile", () => {
    const map = new IdMap<{ readonly id: number }>();
    for (let id = 1; id < 100; id++) map.add({ id });
    for (const { id } of map.values()) map.delete(id);
    assert.equal(map.size, 0);
    assert.deepEqual(map.values(), []);
  });
});
