// @ts-check
/**
 * One flood as a process: it runs what its task names, prints `ready`, then `ended` with what came of it. What a flood
 * leaves open stays so until standard input ends.
 */
import * as agents from "./floods/agents.mjs";
import * as answers from "./floods/answers.mjs";
import * as probes from "./floods/probes.mjs";
import * as visitors from "./floods/visitors.mjs";

/**
 * What every flood is told; the rest depends on its kind.
 * @typedef {{ kind: string, port: number, host: string, token: string, seconds: number, count: number } &
 *   { endsOnce?: Record<string, number> } & Record<string, any>} Task `seconds` is the most that it may take; it ends
 *   once it has counted what `endsOnce` names, each as often
 * @typedef {{ count: (what: string, times?: number) => void, until: Promise<void> }} Flood
 */

/** @type {Task} */
const task = JSON.parse(process.argv[2]);
/**
 * How often each thing happened: bytes that were sent, answers by status, closes by code.
 * @type {Record<string, number>}
 */
const counts = {};
let end = () => {};
/** @type {Promise<void>} */
const until = new Promise((resolve) => end = resolve);
setTimeout(end, task.seconds * 1000);
process.stdin.on("end", () => process.exit()).resume();
const goals = Object.entries(task.endsOnce ?? {});

/** @param {string} what @param {number} times */
function count(what, times = 1) {
  counts[what] = (counts[what] ?? 0) + times;
  if (goals.length > 0 && goals.every(([name, least]) => (counts[name] ?? 0) >= least)) end();
}

const run = /** @type {Record<string, (task: Task, flood: Flood) => Promise<unknown>>} */ ({
  ...visitors,
  ...agents,
  ...answers,
  ...probes,
})[task.kind];
if (run === undefined) throw new Error(`there is no flood ${task.kind}`);
console.log(JSON.stringify({ event: "ready" }));
const told = await run(task, { until, count });
console.log(JSON.stringify({ event: "ended", counts, told }));
