/**
 * What each trick for speed or memory brings: Runnel's own way beside the plain one, case by case. `--help` says how to
 * run it, scripts/bench/README.md how to read it.
 */
import process from "node:process";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { median } from "./figures.mjs";
import { cases as inProcessCases } from "./micro/cases.ts";
import { type Case, type Figure, whyNot } from "./micro/harness.ts";
import { processCases } from "./micro/processes.ts";
import { runtimeName, runtimeVersion } from "./micro/subjects.ts";
import { WorkerProcess } from "./micro/worker_process.ts";

const help = `Usage: bun|deno scripts/bench/micro.ts [--rounds N] [--json | --list] [FILTER]

    node_modules/.runnel/bin/bun scripts/bench/micro.ts
    node_modules/.runnel/bin/deno run -A scripts/bench/micro.ts mask

Measures what each trick for speed or memory brings, with and without it, in interleaved rounds on the runtime that runs
it. Prints the medians of both, and the median and range of the rounds' ratios: below 1, the trick saves something.

  FILTER      only the case of this name, else those whose name or file contains it
  --rounds N  rounds of each case (default 7)
  --json      print one JSON object
  --list      print the cases, and measure nothing
  --help      print this`;

/** A trick that saves less is not worth its lines. */
const LEAST_GAIN = 0.05;

const cases: readonly Case[] = [...processCases, ...inProcessCases];

/** Each case in processes that have done nothing else. */
async function measure(one: Case, rounds: number): Promise<Figure[]> {
  if (processCases.includes(one)) return await one.measure(rounds);
  const worker = new WorkerProcess(one.name);
  try {
    return await worker.ask<Figure[]>({ measure: one.name, rounds });
  } finally {
    await worker.end();
  }
}

/** What a figure says. It is clear where three quarters of the rounds agree with their median. */
type Effect = "saves" | "costs" | "same" | "unclear";
/** `trade`: it saves one thing and costs another. */
type Verdict = "yes" | "no" | "trade" | "unclear";

interface Row {
  readonly name: string;
  readonly source: string;
  readonly with: string;
  readonly without: string;
  readonly figures: readonly Figure[];
  /** Null where nothing was measured; `reason` says why. */
  readonly earnsItsPlace: Verdict | null;
  readonly reason?: string;
  /** µs of a small request's processor time that it saves, edge and agent together; null where that is not known. */
  readonly savedPerRequest: number | null;
}

function readArguments() {
  const { values, positionals } = readOptions("micro", help, {
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "7" },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) usageError("micro", `--rounds is no number from 1: ${values.rounds}`);
  if (positionals.length > 1) usageError("micro", `there is more than one FILTER: ${positionals.join(" ")}`);
  const filter = positionals[0] ?? "";
  const named = cases.filter(({ name }) => name === filter);
  const chosen = named.length > 0
    ? named
    : cases.filter(({ name, source }) => name.includes(filter) || source.includes(filter));
  if (chosen.length === 0) usageError("micro", `no case's name or file contains ${filter}`);
  return { rounds, json: values.json, list: values.list, chosen };
}

function effectOf({ ratios }: Figure): Effect {
  const sorted = [...ratios].sort((a, b) => a - b);
  const quarter = Math.floor((sorted.length - 1) / 4);
  const middle = median(ratios);
  if (middle <= 1 - LEAST_GAIN) return sorted[sorted.length - 1 - quarter] < 1 ? "saves" : "unclear";
  if (middle >= 1 + LEAST_GAIN) return sorted[quarter] > 1 ? "costs" : "unclear";
  return "same";
}

function verdictOf(figures: readonly Figure[]): Verdict {
  const effects = figures.map(effectOf);
  if (effects.includes("saves")) return effects.includes("costs") ? "trade" : "yes";
  return effects.includes("unclear") ? "unclear" : "no";
}

function rowOf(one: Case, figures: readonly Figure[]): Row {
  const { name, source, with: withTrick, without, perRequest } = one;
  const reason = whyNot(one);
  const about = { name, source, with: withTrick, without, figures };
  if (reason !== null) return { ...about, earnsItsPlace: null, reason, savedPerRequest: null };
  const isTime = perRequest !== undefined && figures[0].unit.startsWith("ns/");
  const saved = isTime ? (figures[0].without - figures[0].with) * perRequest / 1_000 : null;
  return { ...about, earnsItsPlace: verdictOf(figures), savedPerRequest: saved };
}

const number = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);

function figureText({ unit, with: withTrick, without, ratios }: Figure): string {
  const range = ratios.length > 1 ? ` (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})` : "";
  return `${number(withTrick).padStart(10)} beside ${number(without).padEnd(8)} ${unit.padEnd(16)} ${
    median(ratios).toFixed(2)
  }${range}`;
}

function printRow(row: Row): void {
  console.log(`${row.name}: ${row.with}, beside ${row.without} (src/${row.source})`);
  for (const figure of row.figures) console.log(figureText(figure));
  const saved = row.savedPerRequest === null ? "" : `, about ${row.savedPerRequest.toFixed(2)} µs a request`;
  console.log(row.reason === undefined ? `    earns its place: ${row.earnsItsPlace}${saved}` : `    ${row.reason}`);
}

function printSummary(rows: readonly Row[], seconds: number): void {
  const names = (verdict: Verdict | null) =>
    rows.filter(({ earnsItsPlace }) => earnsItsPlace === verdict).map(({ name }) => name).join(", ");
  console.log(`\n${rows.length} cases on ${runtimeName} ${runtimeVersion} in ${seconds.toFixed(0)} s`);
  const texts = { no: "save less than 5 %", trade: "save one thing and cost another", unclear: "are unclear" } as const;
  for (const [verdict, text] of Object.entries(texts)) {
    if (names(verdict as Verdict) !== "") console.log(`${text}: ${names(verdict as Verdict)}`);
  }
  if (names(null) !== "") console.log(`not measured here: ${names(null)}`);
}

const options = readArguments();
if (options.list) {
  for (const { name, source, with: withTrick, without } of options.chosen) {
    console.log(`${name.padEnd(22)} ${withTrick}, beside ${without} (src/${source})`);
  }
  process.exit(0);
}
const begun = performance.now();
const rows: Row[] = [];
for (const one of options.chosen) {
  const row = rowOf(one, whyNot(one) === null ? await measure(one, options.rounds) : []);
  rows.push(row);
  if (!options.json) printRow(row);
}
const seconds = (performance.now() - begun) / 1_000;
if (options.json) {
  const { rounds } = options;
  const date = new Date().toISOString();
  console.log(JSON.stringify({ date, runtime: runtimeName, version: runtimeVersion, rounds, seconds, rows }));
} else printSummary(rows, seconds);
process.exit(0);
