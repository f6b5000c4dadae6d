// @ts-check
/**
 * The neighbor's visitor: small requests that become due at a fixed rate, whether or not earlier ones were answered, so
 * that an edge that stands still is seen for as long as it does. Each `{"event":"measure"}` on standard input answers
 * with the figures since the last one.
 */
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";

/** @typedef {{ port: number, host: string, everyMs: number }} Task */

/** @type {Task} */
const { port, host, everyMs } = JSON.parse(process.argv[2]);
const maxSockets = 32;
const agent = new Agent({ keepAlive: true, maxSockets });

/** Milliseconds from when a request was due to the end of its answer. @type {number[]} */
let latencies = [];
/** How those ended that were not answered with 200. @type {Record<string, number>} */
let failures = {};
/** When those became due that have no answer yet. @type {Set<{ at: number }>} */
const open = new Set();

/** @param {{ at: number }} due @param {string | null} failure */
function finish(due, failure) {
  if (!open.delete(due)) return;
  if (failure === null) latencies.push(performance.now() - due.at);
  else failures[failure] = (failures[failure] ?? 0) + 1;
}

/** @param {number} at when it is due */
function ask(at) {
  const due = { at };
  open.add(due);
  const asked = request({ host: "127.0.0.1", port, path: "/small", headers: { Host: host }, agent });
  asked.on("response", (answer) => {
    answer.on("end", () => finish(due, answer.statusCode === 200 ? null : String(answer.statusCode)));
    answer.on("error", (error) => finish(due, error.message));
    answer.resume();
  });
  asked.on("error", (error) => finish(due, error.message));
  asked.end();
}

function measure() {
  const now = performance.now();
  // Whoever still waits has waited at least so long.
  const sorted = [...latencies, ...Array.from(open, ({ at }) => now - at)].sort((a, b) => a - b);
  /** @param {number} share */
  const quantile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const figures = {
    requests: sorted.length,
    waiting: open.size,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    failures,
  };
  console.log(JSON.stringify({ event: "measured", ...figures }));
  latencies = [];
  failures = {};
}

// All connections are there from the start, so that one which comes later is somebody else's.
for (let socket = 0; socket < maxSockets; socket++) ask(performance.now());
let nextAt = performance.now();
setInterval(() => {
  const now = performance.now();
  for (; nextAt <= now; nextAt += everyMs) ask(nextAt);
}, everyMs);
createInterface({ input: process.stdin }).on("line", measure).on("close", () => process.exit());
