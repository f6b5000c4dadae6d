// @ts-check
/** How many requests are lost on upstream connections that close just then, and what it costs to lose none. */
import { setTimeout as sleep } from "node:timers/promises";
import { readOptions } from "../lib/arguments.mjs";
import { isOnPath } from "../lib/peers.mjs";
import { setUp } from "../lib/toolchain.mjs";
import {
  Outcomes,
  readSetting,
  settingHelp,
  settingOptions,
  startSubjects,
  tableOf,
  warnOfMissing,
} from "./subjects.mjs";
import { startPrinting } from "./upstreams.mjs";
import { ask } from "./visitor.mjs";

/** @typedef {import("./subjects.mjs").Count} Count */
/** @typedef {import("./subjects.mjs").Subject} Subject */
/** @typedef {{ name: string, idleMs: number, offsetsMs: readonly number[] }} Case */

const help =
  `Usage: node scripts/compare/reused_connections.mjs [--edge bun|deno] [--agent bun|deno] [--protocol v2|json]
                                                 [--tries N] [--checkout DIR] [--json] [CASE…]

Asks an upstream that closes idle connections after a time of which it says nothing: a GET, then a request that must
not be sent twice at about the moment of the close. Prints how many of these were lost, and how many connections the
upstream saw. Exits with 1 where Runnel lost one although the upstream waits for longer than the age up to which a
connection is used again (1 s). Takes N times the idle time for each case.

${settingHelp}`;

/** Around the upstream's close, in steps of a millisecond. */
const near = Array.from({ length: 13 }, (_, index) => index - 6);

/** @type {readonly Case[]} */
const cases = [
  { name: "1200 ms, at the close", idleMs: 1200, offsetsMs: near },
  { name: "1200 ms, after it", idleMs: 1200, offsetsMs: [50, 100, 200] },
  { name: "400 ms, at the close", idleMs: 400, offsetsMs: near },
];

/** They must not be sent twice. @type {readonly { method: string, length?: number }[]} */
const requests = [{ method: "POST", length: 100 }, { method: "POST", length: 0 }, { method: "DELETE" }];

/**
 * @param {Case} what @param {Subject} subject @param {number} tries
 * @returns {Promise<Count & { connections: number }>}
 */
async function measureSubject({ idleMs, offsetsMs }, subject, tries) {
  const outcomes = new Outcomes();
  const connections = new Set();
  for (let round = 0; round < tries; round++) {
    connections.add((await ask(subject, { method: "GET", path: "/" })).body);
    await sleep(idleMs + offsetsMs[round % offsetsMs.length]);
    const { outcome, body } = await ask(subject, { path: "/", ...requests[round % requests.length] });
    outcomes.add(outcome, 200);
    if (outcome === 200) connections.add(body);
  }
  return { ...outcomes.count, connections: connections.size };
}

/** @param {Case} what @param {ReturnType<typeof readSetting>} setting */
async function measure(what, setting) {
  const upstream = await startPrinting("python3", "idle_close.py", String(what.idleMs));
  const subjects = await startSubjects(upstream.port, setting);
  // All at a time: they wait for most of it, and have no connection in common.
  const counts = await Promise.all(subjects.map((subject) => measureSubject(what, subject, setting.tries)));
  for (const subject of subjects) await subject.stop();
  await upstream.stop();
  return { name: what.name, subjects: Object.fromEntries(subjects.map(({ name }, index) => [name, counts[index]])) };
}

const { values, positionals } = readOptions("reused_connections", help, {
  options: settingOptions,
  allowPositionals: true,
});
const setting = readSetting("reused_connections", values);
setUp();
warnOfMissing();
if (!isOnPath("python3")) {
  console.error("python3 is not installed: nothing is measured");
  process.exit(0);
}
const chosen = cases.filter(({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)));
const results = [];
for (const what of chosen) results.push({ ...await measure(what, setting), idleMs: what.idleMs });
console.log(values.json ? JSON.stringify({ setting, results }) : tableOf(results));
const isLost = results.some(({ idleMs, subjects }) => idleMs > 1000 && subjects.Runnel.lost > 0);
process.exit(isLost ? 1 : 0);
