// @ts-check
/** What a result must keep to, and how results are shown. */

/** @typedef {import("./stage.mjs").Result} Result */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */

/** Milliseconds that a neighbor's request may take beside any flood. */
const latencyLimits = { bun: { p50Ms: 25, p99Ms: 250 }, deno: { p50Ms: 50, p99Ms: 500 } };
/** Memory above rest may be so many times what the edge says to hold, and so much more. */
const memoryFactor = 1.5;
const memorySlackBytes = 100e6;

/** @param {Result} result */
export const memoryLimit = ({ memory }) => memoryFactor * memory.bufferedBytes + memorySlackBytes;

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
  for (const [failure, times] of Object.entries({ ...flooded.failures, ...after.failures })) {
    faults.push(`${times} requests of the neighbor failed: ${failure}`);
  }
  if (memory.grownBytes > memoryLimit(result)) {
    faults.push(`memory grew by ${megabytes(memory.grownBytes)} MB, of ${megabytes(memoryLimit(result))}`);
  }
  if (descriptors.after > descriptors.rest) {
    faults.push(`${descriptors.after - descriptors.rest} descriptors did not come back`);
  }
  if (result.ends.some(({ tunnel }) => tunnel === "neighbor")) faults.push("the neighbor's session ended");
  if (scenario.endsWith !== undefined && !Object.keys(counts).some((what) => scenario.endsWith?.test(what))) {
    faults.push(`the flood was not ended by ${scenario.endsWith.source}: ${JSON.stringify(counts)}`);
  }
  faults.push(...scenario.check?.(result) ?? []);
  if (short || scenario.latency === false) return faults;
  const limits = latencyLimits[runtime];
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
  "scenario",
  "runtime",
  "p50 (rest), ms",
  "p99 (rest), ms",
  "grown / bound, MB",
  "held, MB",
  "sockets",
  "ended",
];

/** @param {Scenario} scenario @param {Result} result */
export function cells(scenario, result) {
  const { flooded, rest, memory, descriptors } = result;
  return [
    scenario.name,
    result.runtime,
    `${milliseconds(flooded.p50Ms)} (${milliseconds(rest.p50Ms)})`,
    `${milliseconds(flooded.p99Ms)} (${milliseconds(rest.p99Ms)})`,
    `${megabytes(memory.grownBytes)} / ${megabytes(memoryLimit(result))}`,
    `${megabytes(memory.bufferedBytes)}`,
    `${descriptors.most}, then ${descriptors.after} (${descriptors.rest})`,
    endsOf(result),
  ];
}

/** @param {readonly string[]} row */
export const markdownRow = (row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
