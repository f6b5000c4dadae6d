/**
 * On Bun: has buffers come and go, of which nothing is left but what the collector counted, without a counterweight,
 * beside one, and after it went; prints how many collections each of the three took.
 */
import { Counterweight } from "../../../src/net/counterweight.ts";
import { FakeClock } from "../../support/clock.ts";

const READ_BYTES = 256 * 1024;
const TURN_BYTES = 4 * 1024 * 1024;
const TOTAL_BYTES = 1024 * 1024 * 1024;
const { gc } = (globalThis as unknown as { Bun: { gc(isSynchronous: boolean): void } }).Bun;

let found = false;
const deaths = new FinalizationRegistry<null>(() => found = true);

async function collectionsOfBulk(): Promise<number> {
  let collections = 0;
  for (let passed = 0; passed < TOTAL_BYTES; passed += TURN_BYTES) {
    deaths.register({}, null);
    for (let turn = 0; turn < TURN_BYTES; turn += READ_BYTES) new ArrayBuffer(READ_BYTES).transfer(0);
    found = false;
    await new Promise((resolve) => setTimeout(resolve));
    if (found) collections++;
  }
  return collections;
}

const clock = new FakeClock();
const counterweight = new Counterweight(clock, () => gc(true));
const without = await collectionsOfBulk();
for (let i = 0; i < 4; i++) counterweight.gaveBack(TOTAL_BYTES);
gc(true);
const beside = await collectionsOfBulk();
clock.advance(60_000);
const after = await collectionsOfBulk();
console.log(JSON.stringify([without, beside, after]));
