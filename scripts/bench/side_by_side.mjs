// @ts-check
/** Two tunnels side by side, in pairs of measurements: processor time and speed of one, divided by those of the other. */
import process from "node:process";
import { setUp } from "../lib/toolchain.mjs";
import { interval, median } from "./figures.mjs";
import { bulkBytes, findNginx, smallBytes } from "./nginx.mjs";

/** @typedef {import("./child.mjs").Child} Child */
/** @typedef {import("./generator.mjs").Generator} Generator */
/** What is asked: the port, the Host, and the programs that pay for it. @typedef {{ port: number, host: string, edge: Child, agent: Child, stop(): Promise<void> }} Tunnel */
/** Processor time of edge and agent together, and what a second brought. @typedef {{ cpu: number, speed: number }} Sample */
/** @typedef {(generator: Generator, tunnel: Tunnel) => Promise<Sample>} Measure */

const connections = 32;
/** Long enough for the ticks of 10 ms in which processor time is told. */
const requestMilliseconds = 2_000;
/** See main.mjs: the just-in-time compilers have settled after these. */
const warmUp = { requests: 200_000, milliseconds: 20_000 };
const bulkWarmUps = 25;
/** Of one measurement of bulk. */
const downloads = 3;

/**
 * Where nginx is. Ends the script `name` where nothing can be measured; otherwise all is set up, and ends at a signal.
 * @param {string} name
 */
export function nginxToMeasure(name) {
  const nginx = findNginx();
  if (nginx === null || process.platform !== "linux") {
    console.log(`${name}: skipped: needs nginx, and processor time from /proc (Linux)`);
    process.exit(0);
  }
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
  setUp();
  return nginx;
}

/** @param {Tunnel} tunnel */
export const cpuSeconds = ({ edge, agent }) => edge.cpuSeconds + agent.cpuSeconds;

/** Until their compilers have settled. @param {Generator} generator @param {Tunnel} tunnel */
export async function warmUpRequests(generator, { port, host }) {
  await generator.run({ port, host, path: "/small", connections, bodyBytes: smallBytes, ...warmUp });
}

/**
 * Microseconds a request, and requests a second.
 * @type {Measure}
 */
export async function measureRequests(generator, tunnel) {
  const { port, host } = tunnel;
  const before = cpuSeconds(tunnel);
  const result = await generator.run({
    ...{ port, host, path: "/small", connections, bodyBytes: smallBytes, milliseconds: requestMilliseconds },
  });
  return {
    cpu: (cpuSeconds(tunnel) - before) / result.requests * 1e6,
    speed: result.requests / result.seconds,
  };
}

/** @param {Generator} generator @param {Tunnel} tunnel */
export async function warmUpBulk(generator, { port, host }) {
  await generator.run({ port, host, path: "/bulk", connections: 1, bodyBytes: bulkBytes, requests: bulkWarmUps });
}

/**
 * Microseconds a megabyte, and megabytes a second.
 * @type {Measure}
 */
export async function measureBulk(generator, tunnel) {
  const { port, host } = tunnel;
  const before = cpuSeconds(tunnel);
  const result = await generator.run({
    ...{ port, host, path: "/bulk", connections: 1, bodyBytes: bulkBytes, requests: downloads },
  });
  const megabytes = downloads * bulkBytes / 1e6;
  return { cpu: (cpuSeconds(tunnel) - before) / megabytes * 1e6, speed: megabytes / result.seconds };
}

/**
 * Adds the samples of `rounds` pairs to `samples`, in the order of `tunnels`.
 * @param {Measure} measure @param {Generator} generator @param {[Tunnel, Tunnel]} tunnels @param {number} rounds
 * @param {[Sample[], Sample[]]} samples
 */
export async function addPairs(measure, generator, tunnels, rounds, samples) {
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
      samples[side].push(await measure(generator, tunnels[side]));
    }
  }
}

/** @param {string} name @param {[Sample[], Sample[]]} samples */
export function rowOf(name, samples) {
  /** @param {keyof Sample} key */
  const figures = (key) => {
    const ratios = samples[0].map((sample, pair) => sample[key] / samples[1][pair][key]);
    const [here, there] = samples.map((side) => median(side.map((sample) => sample[key])));
    return { here, there, ratio: median(ratios), ...interval(ratios) };
  };
  return { name, cpu: figures("cpu"), speed: figures("speed") };
}

/** @param {{ ratio: number, low: number, high: number }} figures */
export const ratioText = ({ ratio, low, high }) => `${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
