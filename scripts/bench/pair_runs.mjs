// @ts-check
/** Two tunnels in pairs of measurements: the flags of a program that compares them so, and its run. */
import { usageError } from "../lib/arguments.mjs";
import { Generator } from "./generator.mjs";
import { NginxFarm } from "./nginx.mjs";
import { addPairs, measureBulk, measureRequests, rowOf, warmUpBulk, warmUpRequests } from "./side_by_side.mjs";

/** @typedef {import("./runnel.mjs").Runtime} Runtime */
/** @typedef {import("./side_by_side.mjs").Tunnel} Tunnel */
/** @typedef {import("./side_by_side.mjs").Sample} Sample */
/** @typedef {ReturnType<typeof pairOptions>} PairOptions */

/** @param {string} limit the default of `--limit` */
export const pairFlags = (limit) => ({
  edge: { type: /** @type {const} */ ("string"), default: "bun" },
  agent: { type: /** @type {const} */ ("string"), default: "bun" },
  rounds: { type: /** @type {const} */ ("string"), default: "20" },
  starts: { type: /** @type {const} */ ("string"), default: "2" },
  limit: { type: /** @type {const} */ ("string"), default: limit },
  "bulk-only": { type: /** @type {const} */ ("boolean"), default: false },
  "requests-only": { type: /** @type {const} */ ("boolean"), default: false },
  json: { type: /** @type {const} */ ("boolean"), default: false },
  help: { type: /** @type {const} */ ("boolean"), short: "h", default: false },
});

/**
 * What the values of these flags say. Ends the program where one is wrong.
 * @param {string} program for the error
 * @param {{ edge: string, agent: string, rounds: string, starts: string, limit: string, "bulk-only": boolean,
 *   "requests-only": boolean, json: boolean }} values
 */
export function pairOptions(program, values) {
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError(program, `--${name} is no runtime: ${values[name]}`);
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 2) usageError(program, `--rounds is no number from 2: ${values.rounds}`);
  const starts = Number(values.starts);
  if (!Number.isInteger(starts) || starts < 1) usageError(program, `--starts is no number from 1: ${values.starts}`);
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError(program, `--limit is no ratio: ${values.limit}`);
  if (values["bulk-only"] && values["requests-only"]) {
    usageError(program, "--bulk-only and --requests-only exclude each other");
  }
  const { edge, agent } = /** @type {{ edge: Runtime, agent: Runtime }} */ (values);
  const what = { requests: !values["bulk-only"], bulk: !values["requests-only"] };
  return { edge, agent, rounds, starts, limit, ...what, json: values.json };
}

/**
 * Measures both sides, and makes a row of each measurement, of the first side divided by the second.
 * @param {PairOptions} options @param {string} nginx
 * @param {(side: 0 | 1, originPort: number) => Promise<Tunnel>} start
 */
export async function runPairs(options, nginx, start) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  /** @type {[Sample[], Sample[]]} */
  const requests = [[], []];
  /** @type {[Sample[], Sample[]]} */
  const bulk = [[], []];
  try {
    const origin = await farm.startOrigin();
    for (let index = 0; index < options.starts; index++) {
      // The one that is started first is slower by up to 5 %, so the starts alternate.
      const order = /** @type {(0 | 1)[]} */ (index % 2 === 0 ? [0, 1] : [1, 0]);
      /** @type {Tunnel[]} */
      const tunnels = [];
      for (const side of order) tunnels[side] = await start(side, origin.port);
      const [first, second] = tunnels;
      try {
        const rounds = Math.ceil(options.rounds / options.starts);
        for (const side of order) await warmUpRequests(generator, tunnels[side]);
        if (options.requests) await addPairs(measureRequests, generator, [first, second], rounds, requests);
        if (!options.bulk) continue;
        for (const side of order) await warmUpBulk(generator, tunnels[side]);
        await addPairs(measureBulk, generator, [first, second], rounds, bulk);
      } finally {
        for (const tunnel of tunnels) await tunnel.stop();
      }
    }
  } finally {
    await generator.stop();
    await farm.stop();
  }
  return [
    ...(options.requests ? [rowOf("requests", requests)] : []),
    ...(options.bulk ? [rowOf("bulk", bulk)] : []),
  ];
}
