import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type NetworkChange, NetworkWatch } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";

function stage() {
  const clock = new FakeClock();
  const machine = { addresses: new Set(["127.0.0.1", "192.0.2.7"]) as ReadonlySet<string> | null, wallMs: 0 };
  const watch = new NetworkWatch({
    clock,
    readAddresses: () => machine.addresses,
    wallClock: () => clock.now() + machine.wallMs,
  });
  const told: NetworkChange[] = [];
  const stop = watch.listen((change) => told.push(change));
  return { clock, machine, told, stop, watch };
}

describe("NetworkWatch", () => {
  it("NetworkWatch tells the addresses when the machine has others, within 5 s, and once", () => {
    const { clock, machine, told } = stage();
    clock.advance(20_000);
    assert.deepEqual(told, []);
    const addresses = new Set(["127.0.0.1", "198.51.100.9"]);
    machine.addresses = addresses;
    clock.advance(5_000);
    assert.deepEqual(told, [{ kind: "addresses", addresses }]);
    clock.advance(20_000);
    assert.equal(told.length, 1);
  });

  it("NetworkWatch tells of a sleep when the wall clock went on and the other one did not", () => {
    const { clock, machine, told } = stage();
    machine.wallMs = 4_999;
    clock.advance(5_000);
    assert.deepEqual(told, []);
    machine.wallMs += 5_000;
    clock.advance(5_000);
    assert.deepEqual(told, [{ kind: "sleep", sleptMs: 5_000 }]);
    clock.advance(5_000);
    machine.wallMs -= 3_600_000;
    clock.advance(5_000);
    assert.equal(told.length, 1, "a clock that is set back is no sleep");
  });

  it("NetworkWatch is silent about addresses when they cannot be known, and looks no more when nobody listens", () => {
    const { clock, machine, told, stop, watch } = stage();
    machine.addresses = null;
    clock.advance(5_000);
    machine.addresses = new Set(["127.0.0.1"]);
    clock.advance(5_000);
    assert.deepEqual(told, []);
    stop();
    assert.equal(clock.pending, 0);
    const again = watch.listen(() => {});
    assert.equal(clock.pending, 1);
    again();
  });

  it("NetworkWatch reads the addresses of this machine by default", () => {
    const clock = new FakeClock();
    const stop = new NetworkWatch({ clock, wallClock: () => clock.now() }).listen(() => assert.fail("no change"));
    clock.advance(5_000);
    stop();
  });
});
