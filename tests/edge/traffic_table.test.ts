import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TrafficTable } from "../../src/edge/traffic_table.ts";

describe("TrafficTable", () => {
  it("gives each tunnel the same counters again, and counts past the limit with the rest", () => {
    const table = new TrafficTable(2);
    const [a, b, c] = ["a", "b", "c"].map((name) => table.of(name));
    assert.notEqual(a, b);
    assert.equal(c, table.rest);
    assert.deepEqual([table.of("a") === a, table.of("b") === b, table.of("d") === table.rest], [true, true, true]);
    assert.ok(![a, b, c].includes(table.own));
  });

  it("has room again when a tunnel is forgotten, which then begins anew", () => {
    const table = new TrafficTable(1);
    const first = table.of("a");
    first.bytesIn = 5;
    table.retain(new Set(["b"]));
    const other = table.of("b");
    assert.deepEqual([other === table.rest, other === first], [false, false]);
    assert.equal(table.of("a"), table.rest);
    table.retain(new Set());
    assert.equal(table.of("a").bytesIn, 0);
  });

  it("counts 1,000 tunnels by themselves by default", () => {
    const table = new TrafficTable();
    const counters = new Set(Array.from({ length: 1_001 }, (_, index) => table.of(`t${index}`)));
    assert.equal(counters.size, 1_001);
    assert.equal(table.of("t1000"), table.rest);
    assert.notEqual(table.of("t999"), table.rest);
  });
});
