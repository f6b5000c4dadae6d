import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyTable } from "../../src/limits/key_table.ts";

interface Entry {
  readonly madeAt: number;
  isInUse: boolean;
}

const keepMs = 1_000;
const tableOf = (maxKeys: number) => new KeyTable<Entry>((now) => ({ madeAt: now, isInUse: false }), keepMs, maxKeys);

describe("KeyTable", () => {
  it("KeyTable gives the same entry again when its key is asked for within keepMs", () => {
    const table = tableOf(100);
    const entry = table.get("a", 0);
    assert.equal(table.get("a", 999), entry);
    assert.equal(table.get("b", 1_500).madeAt, 1_500);
    assert.equal(table.get("a", 1_600), entry);
    assert.equal(table.size, 2);
  });

  it("KeyTable forgets an entry when nobody has asked for it for twice keepMs", () => {
    const table = tableOf(100);
    table.get("a", 0);
    table.get("b", 1_001);
    table.get("c", 2_002);
    assert.equal(table.size, 2);
    assert.equal(table.get("a", 2_003).madeAt, 2_003);
  });

  it("KeyTable has at most maxKeys entries when as many more are asked for", () => {
    const table = tableOf(100);
    for (let index = 0; index < 10_000; index++) {
      table.get(`key ${index}`, 0);
      assert.ok(table.size <= 100, `${table.size} entries`);
    }
    // The newest are there.
    const newest = table.get("key 9999", 1);
    assert.equal(newest.madeAt, 0);
  });

  it("KeyTable keeps an entry that is in use, whatever else is asked for", () => {
    const table = tableOf(100);
    const used = table.get("used", 0);
    used.isInUse = true;
    for (let index = 0; index < 10_000; index++) table.get(`key ${index}`, index);
    assert.equal(table.get("used", 10_000), used);
    used.isInUse = false;
    for (let index = 0; index < 10_000; index++) table.get(`key ${index}`, 20_000 + index);
    assert.notEqual(table.get("used", 40_000), used);
  });
});
