// @ts-check
/** What is compared: the upstream itself, nginx before it, and Runnel before it. */
import { usageError } from "../lib/arguments.mjs";
import { findNginx, NginxFarm } from "../bench/nginx.mjs";
import { startRunnel } from "../bench/runnel.mjs";

/** @typedef {import("../bench/runnel.mjs").Runtime} Runtime */
/** @typedef {{ edge: Runtime, agent: Runtime, protocol: string, checkout?: string }} Setting */
/** @typedef {{ name: string, port: number, host: string, stop(): Promise<void> }} Subject */

/** The options that both programs have, for `readOptions`. */
export const settingOptions = /** @type {const} */ ({
  edge: { type: "string", default: "bun" },
  agent: { type: "string", default: "bun" },
  protocol: { type: "string", default: "v2" },
  checkout: { type: "string" },
  tries: { type: "string", default: "200" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
});

export const settingHelp = `  --edge RUNTIME    what the edge runs on: bun (default) or deno
  --agent RUNTIME   what the agent runs on: bun (default) or deno
  --protocol NAME   what they speak: v2 (default) or json
  --checkout DIR    start edge and agent from another checkout
  --tries N         requests of each case and subject (default 200)
  --json            print one JSON object instead of tables
  --help            print this`;

/**
 * @param {string} script
 * @param {{ edge: string, agent: string, protocol: string, checkout?: string, tries: string }} values
 */
export function readSetting(script, { edge, agent, protocol, checkout, tries: text }) {
  for (const [name, value] of Object.entries({ edge, agent })) {
    if (!["bun", "deno"].includes(value)) usageError(script, `--${name} is no runtime: ${value}`);
  }
  if (!["v2", "json"].includes(protocol)) usageError(script, `--protocol is none: ${protocol}`);
  const tries = Number(text);
  if (!Number.isInteger(tries) || tries < 1) usageError(script, `--tries is no whole number from 1: ${text}`);
  const runtimes = /** @type {{ edge: Runtime, agent: Runtime }} */ ({ edge, agent });
  return { ...runtimes, protocol, checkout, tries };
}

const nginxProgram = findNginx();
const farm = nginxProgram === null ? null : new NginxFarm(nginxProgram);
let started = 0;

/** Says on standard error what is left out. */
export function warnOfMissing() {
  if (farm === null) console.error("nginx is not installed (Debian: apt-get install nginx): Runnel stands alone");
}

/**
 * Starts everything before an upstream; the upstream itself is the first subject.
 * @param {number} port of the upstream @param {Setting} setting @returns {Promise<Subject[]>}
 */
export async function startSubjects(port, setting) {
  const host = "127.0.0.1";
  const subjects = [{ name: "direct", port, host, async stop() {} }];
  if (farm !== null) {
    const nginx = await farm.startDocumented(`documented-${++started}`, port);
    subjects.push({ name: "nginx", port: nginx.port, host, stop: () => nginx.child.stop() });
  }
  const runnel = await startRunnel({ ...setting, originPort: port, name: "compare" });
  subjects.push({ name: "Runnel", port: runnel.port, host: runnel.host, stop: () => runnel.stop() });
  return subjects;
}

/**
 * Counts outcomes.
 * @typedef {{ tries: number, complete: number, lost: number, losses: Record<string, number>, connections?: number }} Count
 */
export class Outcomes {
  /** @type {Count} */
  count = { tries: 0, complete: 0, lost: 0, losses: {} };

  /** @param {number | string} outcome of `ask` @param {number} wanted the status of the upstream's own answer */
  add(outcome, wanted) {
    const { count } = this;
    count.tries++;
    if (outcome === wanted) return void count.complete++;
    count.lost++;
    count.losses[outcome] = (count.losses[outcome] ?? 0) + 1;
  }
}

/**
 * A row for each subject of each case.
 * @param {readonly { name: string, subjects: Record<string, Count> }[]} cases
 */
export function tableOf(cases) {
  const rows = cases.flatMap(({ name, subjects }) =>
    Object.entries(subjects).map(([subject, { tries, complete, lost, losses, connections }], index) => [
      index === 0 ? name : "",
      subject,
      String(tries),
      String(complete),
      String(lost),
      connections === undefined ? "" : String(connections),
      Object.entries(losses).map(([what, times]) => `${times} × ${what}`).join(", "),
    ])
  );
  const lines = [["case", "subject", "tries", "complete", "lost", "connections", ""], ...rows];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isNumber = [false, false, true, true, true, true, false];
  return lines.map((line) =>
    line.map((cell, column) => isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))
      .join("  ").trimEnd()
  ).join("\n");
}
