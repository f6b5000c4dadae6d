// @ts-check
/** What a result must keep to, and how results are shown. */

/** @typedef {import("./stage.mjs").Result} Result */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */

/** What hundreds of megabytes that come at one moment may cost a neighbor: such scenarios are about memory. */
const momentP99Ms = { bun: 1_000, deno: 2_000 };
/** Milliseconds that a neighbor's request may take beside any other flood. */
const latencyLimits = { bun: { p50Ms: 25, p99Ms: 250 }, deno: { p50Ms: 50, p99Ms: 500 } };
/** Memory above rest may be so many times what the edge says to hold, and so much more: V8 keeps more of a grown heap. */
const memoryFactor = 1.5;
const memorySlackBytes = { bun: 100e6, deno: 128e6 };
/** The short form may run beside other tests, and what is small counts for more in it. */
const shortSlackBytes = 200e6;
/** The neighbor's visitor may have opened some connections anew. */
const neighborDescriptors = 16;
/** Until a visitor on a new connection has an answer, behind a flood. */
const freshLimitMs = 1000;

/** @param {Result} result @param {boolean} short */
export const memoryLimit = ({ memory, runtime }, short) =>
  memoryFactor * memory.bufferedBytes + (short ? shortSlackBytes : memorySlackBytes[runtime]);

/** @param {number} bytes */
const megabytes = (bytes) => Math.round(bytes / 1e6);

/**
 * The bounds that a result breaks, each as a sentence. The short form judges no times.
 * @param {Scenario} scenario @param {Result} result @param {boolean} short
 */
export function broken(scenario, result, short) {
  const { flooded, after, memory, descriptors, counts, runtime } = result;
  const faults = [];
  if (result.died !== null) faults.push(result.died);
  for (const [failure, times] of [...Object.entries(flooded.failures), ...Object.entries(after.failures)]) {
    if (!scenario.neighborMayFail) faults.push(`${times} requests of the neighbor failed: ${failure}`);
  }
  if (scenario.leftBytes !== undefined && memory.leftBytes > scenario.leftBytes) {
    faults.push(`${megabytes(memory.leftBytes)} MB are held for visitors that have left`);
  }
  if (memory.grownBytes > memoryLimit(result, short)) {
    faults.push(`memory grew by ${megabytes(memory.grownBytes)} MB, of ${megabytes(memoryLimit(result, short))}`);
  }
  if (descriptors.after > descriptors.rest + neighborDescriptors) {
    faults.push(`${descriptors.after - descriptors.rest} descriptors did not come back`);
  }
  if (result.ends.some(({ tunnel }) => tunnel === "neighbor")) faults.push("the neighbor's session ended");
  if (scenario.endsWith !== undefined && !Object.keys(counts).some((what) => scenario.endsWith?.test(what))) {
    faults.push(`the flood was not ended by ${scenario.endsWith.source}: ${JSON.stringify(counts)}`);
  }
  faults.push(...scenario.check?.(result, short) ?? []);
  if (result.freshMs === null) faults.push("a new visitor had no answer behind the flood");
  if (short) return faults;
  if (result.freshMs !== null && result.freshMs > freshLimitMs) {
    faults.push(`a new visitor waited ${result.freshMs.toFixed(0)} ms behind the flood`);
  }
  if (scenario.hasLatencyBound === false) return faults;
  const limits = { ...latencyLimits[runtime], ...(scenario.comesAtOnce ? { p99Ms: momentP99Ms[runtime] } : {}) };
  if (flooded.p50Ms > limits.p50Ms) faults.push(`p50 is ${flooded.p50Ms.toFixed(0)} ms, of ${limits.p50Ms}`);
  if (flooded.p99Ms > limits.p99Ms) faults.push(`p99 is ${flooded.p99Ms.toFixed(0)} ms, of ${limits.p99Ms}`);
  return faults;
}

/** @param {number} ms */
const milliseconds = (ms) => ms >= 10 ? ms.toFixed(0) : ms.toFixed(1);

/** The names and counts of what ended, without what was merely sent. @param {Result} result */
export function endsOf({ counts }) {
  const shown = Object.entries(counts).filter(([what, times]) =>
    times > 0 && !/^(sent bytes|connected|left)$/.test(what)
  );
  return shown.map(([what, times]) => `${times} ${what}`).join(", ");
}

export const columns = [
  ...[
    "scenario",
    "runtime",
    "p50, ms",
    "p99, ms",
    "at rest",
    "nginx",
    "grown, MB",
    "bound",
    "held",
    "sockets",
    "ended",
  ],
];

/**
 * @param {Scenario} scenario @param {Result} result
 * @param {import("./stage.mjs").Latency | null | undefined} nginx the neighbor's at nginx; null where that is not
 *   installed, undefined where it takes no such flood
 */
export function cells(scenario, result, nginx) {
  const { flooded, rest, memory, descriptors } = result;
  /** @param {import("./stage.mjs").Latency} latency */
  const both = ({ p50Ms, p99Ms }) => `${milliseconds(p50Ms)} / ${milliseconds(p99Ms)}`;
  return [
    scenario.name,
    result.runtime,
    milliseconds(flooded.p50Ms),
    milliseconds(flooded.p99Ms),
    both(rest),
    nginx === undefined ? "" : nginx === null ? "not installed" : `${both(nginx)} (${ratio(flooded, nginx)})`,
    `${megabytes(memory.grownBytes)}${
      memory.leavingBytes > memory.grownBytes ? ` (${megabytes(memory.leavingBytes)})` : ""
    }`,
    `${megabytes(memoryLimit(result, false))}`,
    `${megabytes(memory.bufferedBytes)}`,
    `${descriptors.rest}, ${descriptors.most}, ${descriptors.after}`,
    endsOf(result),
  ];
}

/** How many times nginx's median. @param {{ p50Ms: number }} ours @param {{ p50Ms: number }} nginx */
const ratio = (ours, nginx) => `${(ours.p50Ms / nginx.p50Ms).toFixed(2)}x`;

/** @param {readonly string[]} row */
export const markdownRow = (row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
