import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { Counterweight } from "../../src/net/counterweight.ts";
import { runtimeName } from "../../src/net/platform.ts";
import { FakeClock } from "../support/clock.ts";
import { programCommand } from "../support/net.ts";

const MB = 1024 * 1024;

function prepared() {
  const clock = new FakeClock();
  let collections = 0;
  const counterweight = new Counterweight(clock, () => collections++);
  /** `megabytes`, evenly over `ms`. */
  const giveBack = (megabytes: number, ms: number) => {
    for (let i = 0; i < megabytes; i++) {
      clock.advance(ms / megabytes);
      counterweight.gaveBack(MB);
    }
  };
  return { clock, counterweight, giveBack, collections: () => collections };
}

describe("Counterweight", () => {
  it("gaveBack adds the weight when bulk passes, which stays while it does and goes with one collection", () => {
    const { clock, counterweight, giveBack, collections } = prepared();
    assert.equal(counterweight.byteLength, 0);
    giveBack(1_000, 1_000);
    const weight = counterweight.byteLength;
    assert.ok(weight >= 32 * MB && weight <= 128 * MB, `${weight} bytes`);
    for (let i = 0; i < 10; i++) {
      giveBack(256, 256);
      clock.advance(4_000);
    }
    assert.equal(counterweight.byteLength, weight);
    assert.equal(collections(), 0);
    clock.advance(5_000);
    assert.equal(counterweight.byteLength, 0);
    assert.equal(collections(), 1);
    assert.equal(clock.pending, 0);
    giveBack(1_000, 1_000);
    assert.equal(counterweight.byteLength, weight);
  });

  it("gaveBack adds nothing when it is less than bulk, for however long", () => {
    const { clock, counterweight, giveBack } = prepared();
    giveBack(5_000, 50_000);
    assert.equal(counterweight.byteLength, 0);
    assert.equal(clock.pending, 0);
  });

  // Elsewhere nobody makes one: V8 does not go by what lies outside its heap.
  if (runtimeName !== "bun") return;

  it("the collector comes less often beside the weight, and as before once it went", async () => {
    const { stdout } = await promisify(execFile)(...programCommand("tests/net/programs/collections.ts"));
    const [without, beside, after] = JSON.parse(stdout) as [number, number, number];
    assert.ok(beside * 2 < without && beside * 1.5 < after, `${without}, ${beside} and ${after} collections`);
  });
});
