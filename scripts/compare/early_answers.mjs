// @ts-check
/** How many early answers come through: those of upstreams that answer a POST without reading its body. */
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
import { startGunicorn, startHttpServer, startPrinting } from "./upstreams.mjs";
import { ask } from "./visitor.mjs";

/** @typedef {import("./upstreams.mjs").Upstream} Upstream */
/** @typedef {import("./subjects.mjs").Count} Count */
/** @typedef {{ length: number, sent?: number, readsLast?: boolean }} Body */
/** @typedef {{ name: string, needs: string, start(): Promise<Upstream>, path: string, status: number, body?: Body }} Case */

const help = `Usage: node scripts/compare/early_answers.mjs [--edge bun|deno] [--agent bun|deno] [--protocol v2|json]
                                            [--tries N] [--checkout DIR] [--json] [CASE…]

Asks upstreams that answer a POST without reading its body, and close: directly, through nginx and through Runnel.
Prints how many answers came whole. Exits with 1 where Runnel lost more than nginx.

${settingHelp}`;

const megabyte = 1024 * 1024;
/** Of a long body the visitor sends the beginning, then waits for the answer, as one does that looks for it. */
const partial = { length: 64 * megabyte, sent: 64 * 1024 };
/** The JSON protocol carries a body whole. */
const whole = { length: megabyte };
/** A client that looks for an answer when it has sent everything: who answers early must read on for a while. */
const readLast = { length: 64 * megabyte, readsLast: true };

/** @param {string} framing @returns {Case} */
function raw(framing) {
  const start = () => startPrinting("python3", "early.py");
  return { name: `raw socket, ${framing}`, needs: "python3", start, path: `/${framing}`, status: 413 };
}

/** @type {readonly Case[]} */
const cases = [
  raw("length"),
  raw("chunked"),
  raw("split"),
  raw("close"),
  { ...raw("length"), name: "raw socket, visitor reads last", body: readLast },
  { name: "http.server", needs: "python3", start: startHttpServer, path: "/", status: 501 },
  { name: "gunicorn", needs: "gunicorn", start: () => startGunicorn("gunicorn"), path: "/", status: 413 },
  { name: "Node", needs: "node", start: () => startPrinting("node", "early_node.mjs"), path: "/", status: 413 },
];

/** @param {Case} what @param {ReturnType<typeof readSetting>} setting */
async function measure({ name, start, path, status, body = partial }, setting) {
  const sent = setting.protocol === "json" ? whole : body;
  const upstream = await start();
  const subjects = await startSubjects(upstream.port, setting);
  const outcomes = subjects.map(() => new Outcomes());
  for (let round = 0; round < setting.tries; round++) {
    for (const [index, subject] of subjects.entries()) {
      const { outcome } = await ask(subject, { method: "POST", path, ...sent });
      outcomes[index].add(outcome, status);
    }
  }
  for (const subject of subjects) await subject.stop();
  await upstream.stop();
  /** @type {Record<string, Count>} */
  const counts = Object.fromEntries(subjects.map((subject, index) => [subject.name, outcomes[index].count]));
  return { name, subjects: counts };
}

const { values, positionals } = readOptions("early_answers", help, { options: settingOptions, allowPositionals: true });
const setting = readSetting("early_answers", values);
setUp();
warnOfMissing();
const results = [];
for (const what of cases) {
  if (positionals.length > 0 && !positionals.some((word) => what.name.includes(word))) continue;
  if (isOnPath(what.needs)) results.push(await measure(what, setting));
  else console.error(`${what.name} is left out: ${what.needs} is not installed`);
}
console.log(values.json ? JSON.stringify({ setting, results }) : tableOf(results));
const isWorse = results.some(({ subjects: { nginx, Runnel } }) => nginx !== undefined && Runnel.lost > nginx.lost);
process.exit(isWorse ? 1 : 0);
