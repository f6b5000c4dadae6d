// @ts-check
/** Every scenario, in the order of the table. */
import { frames } from "./frames.mjs";
import { memory } from "./memory.mjs";
import { work } from "./work.mjs";

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} what one line for the table
 * @property {string} [limit] the limit that bounds it, as docs/limits.md names it
 * @property {Record<string, any>} flood kind, count, and what its kind wants; `seconds` is how long it lasts
 * @property {Record<string, any>} [short] what of `flood` the short form has instead
 * @property {"v2" | "json" | "none"} [agent] the protocol of the agent behind the flooded tunnel; none: the flood is
 *   the agent. Default v2.
 * @property {boolean} [sharesAgent] true: the flooded tunnel is the neighbor's own, and the agent is what is measured
 * @property {number} [descriptors] the most that the measured program may have open
 * @property {boolean} [latency] false: the neighbor's latency is no subject of it. Default true.
 * @property {number} [watchSeconds] how long memory is watched after the flood
 * @property {RegExp} [endsWith] how every flooding session must end
 * @property {(result: import("../stage.mjs").Result) => string[]} [check] what else is wrong
 */

/** @type {readonly Scenario[]} */
export const scenarios = [...memory, ...work, ...frames];
