import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLimits, type ConnectionLimitsInit } from "../../src/limits/mod.ts";
import type { ConnectionLease } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";

const any: ConnectionLimitsInit = { handshakes: null, handshakesPerAddress: null };

function stage(init: ConnectionLimitsInit, isExempt?: (address: string) => boolean) {
  const clock = new FakeClock();
  const told: string[] = [];
  const onRefused = (address: string | null, reason: string) => void told.push(`${address}: ${reason}`);
  return { clock, told, limits: new ConnectionLimits(init, { clock, isExempt, onRefused }) };
}

describe("ConnectionLimits", () => {
  it("ConnectionLimits admits as many connections of an address as it may have, and another one when one is over", () => {
    const { limits, told } = stage({ ...any, maxPerAddress: 2 });
    const first = limits.admit("192.0.2.1") as ConnectionLease;
    assert.ok(limits.admit("192.0.2.1"));
    assert.equal(limits.admit("192.0.2.1"), null);
    assert.equal(limits.admit("::ffff:192.0.2.1"), null);
    assert.ok(limits.admit("192.0.2.2"));
    assert.equal(limits.open, 3);
    first.release();
    // A second call changes nothing.
    first.release();
    assert.equal(limits.open, 2);
    assert.ok(limits.admit("192.0.2.1"));
    assert.equal(limits.admit("192.0.2.1"), null);
    assert.equal(told[0], "192.0.2.1: more than --connections-per-address lets an address have");
  });

  it("ConnectionLimits takes the addresses of an IPv6 network for one", () => {
    const { limits } = stage({ ...any, maxPerAddress: 1 });
    assert.ok(limits.admit("2001:db8::1"));
    assert.equal(limits.admit("2001:db8::ffff:2"), null);
    assert.ok(limits.admit("2001:db8:0:1::1"));
  });

  it("ConnectionLimits does not count by address where there is none, and where it is exempt", () => {
    const { limits } = stage({ ...any, maxPerAddress: 1 }, (address) => address === "10.0.0.1");
    for (let index = 0; index < 5; index++) assert.ok(limits.admit("") && limits.admit("10.0.0.1"));
    assert.equal(limits.open, 10);
  });

  it("ConnectionLimits is overfull past maxConnections, and admits 256 more to be told so", () => {
    const { limits } = stage({ ...any, maxConnections: 3 });
    const leases = [1, 2, 3].map(() => limits.admit("192.0.2.1"));
    assert.equal(limits.isOverfull, false);
    for (let index = 0; index < 256; index++) assert.ok(limits.admit("192.0.2.1"));
    assert.equal(limits.isOverfull, true);
    assert.equal(limits.open, limits.most);
    assert.equal(limits.admit("192.0.2.1"), null);
    leases[0]?.release();
    assert.ok(limits.admit("192.0.2.1"));
  });

  it("ConnectionLimits counts a connection for the address that its proxy tells of, and then no more for the proxy's", () => {
    const { limits } = stage({ ...any, maxPerAddress: 1 });
    const lease = limits.admit("10.0.0.1") as ConnectionLease;
    assert.equal(lease.assign("192.0.2.1"), true);
    const second = limits.admit("10.0.0.1") as ConnectionLease;
    assert.equal(second.assign("192.0.2.1"), false);
    second.release();
    lease.release();
    assert.ok(limits.admit("192.0.2.1"));
    assert.ok(limits.admit("10.0.0.1"));
    assert.equal(limits.open, 2);
  });

  it("ConnectionLimits lets as many handshakes of an address begin as its rate says", () => {
    const { limits, clock, told } = stage({ handshakes: null, handshakesPerAddress: { perSecond: 2, burst: 4 } });
    const begun = (address: string, tries: number) => {
      let count = 0;
      for (let index = 0; index < tries; index++) if (limits.admitHandshake(address)) count++;
      return count;
    };
    assert.equal(begun("192.0.2.1", 10), 4);
    assert.equal(begun("192.0.2.2", 10), 4);
    clock.advance(1_000);
    assert.equal(begun("192.0.2.1", 10), 2);
    assert.equal(told[0], "192.0.2.1: more than --address-handshake-rate lets an address have");
  });

  it("ConnectionLimits lets as many handshakes begin in all as their rate says, whoever begins them", () => {
    const { limits, clock, told } = stage({ handshakes: { perSecond: 10, burst: 20 }, handshakesPerAddress: null });
    let begun = 0;
    for (let index = 0; index < 100; index++) if (limits.admitHandshake(`192.0.2.${index}`)) begun++;
    assert.equal(begun, 20);
    assert.equal(told[0], "null: more than --handshake-rate lets all have together");
    clock.advance(100);
    assert.equal(limits.admitHandshake("192.0.2.1"), true);
    assert.equal(limits.admitHandshake("192.0.2.1"), false);
  });

  it("ConnectionLimits remembers a bounded number of addresses", () => {
    const { limits } = stage({ handshakes: null, handshakesPerAddress: { perSecond: 1, burst: 1 }, maxKeys: 100 });
    for (let index = 0; index < 10_000; index++) assert.ok(limits.admitHandshake(`2001:db8:${index.toString(16)}::1`));
    assert.ok(limits.rememberedAddresses <= 100, `${limits.rememberedAddresses} addresses`);
  });

  it("ConnectionLimits has generous defaults", () => {
    const { limits } = stage({});
    assert.equal(limits.most, 65_536 + 256);
    let begun = 0;
    while (limits.admitHandshake("192.0.2.1")) begun++;
    assert.equal(begun, 200);
  });
});
