import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { IdTable } from "../../src/httpstream/id_table.ts";
import { MAX_U31 } from "../../src/httpstream/wire/mod.ts";

describe("IdTable", () => {
  it("IdTable does as a Map would, whichever ids come and go", () => {
    // Ids that meet in few slots, as those of long-lived streams do with new ones, and any other.
    const id = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 12 }).map((k) => 2 + k * 32),
      fc.integer({ min: 1, max: MAX_U31 }),
    );
    const steps = fc.array(fc.record({ id, goes: fc.boolean() }), { maxLength: 200 });
    fc.assert(fc.property(steps, (steps) => {
      const table = new IdTable<{ readonly id: number }>();
      const model = new Map<number, { readonly id: number }>();
      for (const { id, goes } of steps) {
        if (goes) {
          table.delete(id);
          model.delete(id);
        } else if (!model.has(id)) {
          const member = { id };
          table.add(member);
          model.set(id, member);
        }
        assert.equal(table.size, model.size);
        for (const { id } of steps) assert.equal(table.get(id), model.get(id) ?? null);
      }
      const byId = (a: { id: number }, b: { id: number }) => a.id - b.id;
      assert.deepEqual(table.values().sort(byId), [...model.values()].sort(byId));
    }));
  });

  it("IdTable gives what is in it now, whatever becomes of it meanwhile", () => {
    const table = new IdTable<{ readonly id: number }>();
    for (let id = 1; id < 100; id++) table.add({ id });
    for (const { id } of table.values()) table.delete(id);
    assert.equal(table.size, 0);
    assert.deepEqual(table.values(), []);
  });
});
