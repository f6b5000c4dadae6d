/**
 * For how long a scrape stops everything else: the longest time between two turns of the event loop while the metrics of
 * an edge with many tunnels are made, beside the same time without a scrape.
 *
 *     node_modules/.runnel/bin/bun scripts/bench/scrape.ts [--tunnels 1000] [--rounds 50] [--limit-ms 10]
 *     node_modules/.runnel/bin/deno run -A scripts/bench/scrape.ts
 *
 * Prints one JSON object, in milliseconds. Exits with 1 where the middle of the rounds is over the limit.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { startEdge } from "../../src/edge/mod.ts";
import { EdgeMetrics } from "../../src/metrics/mod.ts";
import { runtimeName } from "../../src/net/mod.ts";
import { median } from "./figures.mjs";

const { values } = parseArgs({
  options: {
    tunnels: { type: "string", default: "1000" },
    rounds: { type: "string", default: "50" },
    "limit-ms": { type: "string", default: "10" },
  },
});
const tunnels = Number(values.tunnels);
const rounds = Number(values.rounds);

const edge = await startEdge({ listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, token: "bench" });
const names = Array.from({ length: tunnels }, (_, index) => `tunnel-${index}`);
for (const [index, { traffic }] of edge.figures.tunnels(names).entries()) {
  for (let request = 0; request < 20; request++) {
    traffic.active++;
    traffic.answered(request * 1.7, index * 1_000);
    traffic.ended(200 + request * 10, request ** 3);
  }
}
const metrics = new EdgeMetrics({ edge, version: "0.0.0", declared: () => names });

/** The longest time between two turns of the event loop while `act` runs. */
async function longestTurn(act: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let isOver = false;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await act();
  isOver = true;
  look();
  return longest;
}

async function scrape(): Promise<number> {
  let bytes = 0;
  for await (const piece of metrics.pieces()) bytes += piece.length;
  return bytes;
}

const bytes = await scrape();
const scraped: number[] = [];
const idle: number[] = [];
const took: number[] = [];
for (let round = 0; round < rounds; round++) {
  const startedAt = performance.now();
  scraped.push(await longestTurn(scrape));
  took.push(performance.now() - startedAt);
  idle.push(await longestTurn(() => new Promise((resolve) => setTimeout(resolve, 20))));
}
const { user, system } = process.cpuUsage();
for (let round = 0; round < 10; round++) await scrape();
const used = process.cpuUsage({ user, system });
const round = (value: number) => Math.round(value * 100) / 100;
console.log(JSON.stringify({
  runtime: runtimeName,
  tunnels,
  mebibytes: round(bytes / 2 ** 20),
  longestTurnMs: round(median(scraped)),
  worstTurnMs: round(Math.max(...scraped)),
  longestIdleTurnMs: round(median(idle)),
  scrapeMs: round(median(took)),
  cpuMs: round((used.user + used.system) / 10_000),
}));
await edge.close();
process.exit(median(scraped) > Number(values["limit-ms"]) ? 1 : 0);
