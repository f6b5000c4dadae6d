// @ts-check
/** Every scenario, in the order of the table. */
import { answers } from "./answers.mjs";
import { connections } from "./connections.mjs";
import { frames } from "./frames.mjs";
import { memory } from "./memory.mjs";
import { work } from "./work.mjs";

/** @typedef {import("../stage.mjs").Result} Result */
/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} what one line for the table
 * @property {Record<string, any>} flood kind, count, and what its kind wants; `seconds` is how long it lasts
 * @property {Record<string, any>} [short] what of `flood` the short form has instead; without it there is none
 * @property {boolean} [sharesAgent] true: the flooded tunnel is the neighbor's own, and the agent is what is measured
 * @property {number} [descriptors] the most that the measured program may have open
 * @property {boolean} [hasLatencyBound] false: the flood is one that an edge may be busy with. Default true.
 * @property {boolean} [comesAtOnce] true: so much comes at one moment that some of the neighbor's requests wait for it
 * @property {boolean} [neighborMayFail] true: what is exhausted is the neighbor's, too
 * @property {number} [leftBytes] the most that may be held once the visitors have left
 * @property {number} [watchSeconds] how long memory is watched behind the flood
 * @property {string} [vanishes] the address of the flood, whose packets are lost behind it
 * @property {boolean} [readsLog] true: the edge is the program itself, whose log is read
 * @property {boolean} [nginx] true: nginx takes the like of it, and is measured, too
 * @property {RegExp} [endsWith] how a flooding session must be ended
 * @property {(result: Result, short: boolean) => string[]} [check] what else is wrong
 */

/** @type {readonly Scenario[]} */
export const scenarios = [...memory, ...work, ...frames, ...connections, ...answers];
