// @ts-check
/** Random hostile input for a whole tunnel, until the time is over or something is found. */
import fc from "fast-check";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { programOf, setUp } from "../lib/toolchain.mjs";
import { FrameFuzzer } from "./frames.mjs";
import { RequestFuzzer } from "./requests.mjs";
import { Tunnel } from "./tunnel.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/**
 * @typedef {object} Fuzzer
 * @property {import("fast-check").Arbitrary<any>} cases
 * @property {(tunnel: Tunnel) => Promise<void>} start
 * @property {(input: any) => Promise<void>} check throws where the case shows a fault
 * @property {(input: any) => string} show a case as a person can send it
 * @property {() => Promise<void>} stop
 */

const help = `Usage: scripts/fuzz.sh requests|frames [--runtime bun|deno|all] [--minutes M | --runs N] [--seed S]
                       [--path P]

Sends random hostile input to an edge with real tunnels, each of them processes.

  requests   HTTP requests of visitors, mutated, pipelined and cut into pieces: the upstream must receive exactly those
             that Node's parser accepts as well, once, as they were sent, or none; answers must match their requests
  frames     both protocols at /agent, with a valid token and without: the edge lives, a neighbor's tunnel serves,
             memory is bounded, descriptors come back

A finding is printed with its seed and the smallest input that shows it; the exit code is 1 then.

  --runtime RUNTIME  what edge and agents run on (default all)
  --minutes M        how long, on each runtime (default 1)
  --runs N           how many cases instead
  --seed S           of the cases (default a random one)
  --path P           with --seed: replays the one case that a finding named
  --help             print this

Needs Linux: memory and descriptors are read from /proc.`;

function readArguments() {
  const { values, positionals } = readOptions("fuzz", help, {
    allowPositionals: true,
    options: {
      runtime: { type: "string", default: "all" },
      minutes: { type: "string", default: "1" },
      runs: { type: "string", default: "" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
      path: { type: "string", default: "" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [subject, ...surplus] = positionals;
  if (subject !== "requests" && subject !== "frames") {
    usageError("fuzz", `neither requests nor frames: ${subject ?? ""}`);
  }
  if (surplus.length > 0) usageError("fuzz", `surplus argument: ${surplus[0]}`);
  if (!["bun", "deno", "all"].includes(values.runtime)) usageError("fuzz", `no such runtime: ${values.runtime}`);
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  const runs = values.runs === "" ? null : Number(values.runs);
  if (!(minutes > 0)) usageError("fuzz", `--minutes is no number above 0: ${values.minutes}`);
  if (!Number.isInteger(seed)) usageError("fuzz", `--seed is no whole number: ${values.seed}`);
  if (runs !== null && !(Number.isInteger(runs) && runs > 0)) {
    usageError("fuzz", `--runs is no whole number from 1: ${values.runs}`);
  }
  return { subject, runtime: values.runtime, minutes, runs, seed, path: values.path };
}

/** Each how many cases the neighbor is asked for. */
const neighborEvery = 20;

/**
 * @param {Runtime} runtime @param {ReturnType<typeof readArguments>} options
 * @returns {Promise<boolean>} whether nothing was found
 */
async function run(runtime, { subject, minutes, runs, seed, path }) {
  const tunnel = new Tunnel(runtime);
  /** @type {Fuzzer} */
  const fuzzer = subject === "requests" ? new RequestFuzzer() : new FrameFuzzer();
  let count = 0;
  try {
    await tunnel.start();
    await fuzzer.start(tunnel);
    await tunnel.rest();
    const property = fc.asyncProperty(fuzzer.cases, async (input) => {
      await fuzzer.check(input);
      if (++count % neighborEvery === 0 || path !== "") await tunnel.checkNeighbor();
    });
    const details = await fc.check(property, {
      seed,
      path: path === "" ? undefined : path,
      numRuns: runs ?? Number.MAX_SAFE_INTEGER,
      ...(runs === null ? { interruptAfterTimeLimit: minutes * 60_000 } : {}),
    });
    const what = `fuzz: ${subject} on ${runtime}, seed ${seed}: ${count} cases`;
    if (details.failed && details.counterexample !== null) {
      const error = details.errorInstance instanceof Error ? details.errorInstance.message : details.errorInstance;
      console.log(`${what}, found: ${error}`);
      console.log(
        `     scripts/fuzz.sh ${subject} --runtime ${runtime} --seed ${seed} --path ${details.counterexamplePath}`,
      );
      console.log(fuzzer.show(details.counterexample[0]));
      return false;
    }
    const { grownMB, descriptors } = await tunnel.checkRest();
    console.log(`${what}, nothing found; the edge grew by ${grownMB} MB and has ${descriptors} descriptors`);
    return true;
  } catch (error) {
    console.log(`fuzz: ${subject} on ${runtime}, seed ${seed}: ${/** @type {Error} */ (error).message}`);
    return false;
  } finally {
    await fuzzer.stop();
    await tunnel.stop();
  }
}

const options = readArguments();
if (process.platform !== "linux") {
  console.log("fuzz: skipped: memory and descriptors are read from /proc (Linux)");
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
const runtimes = /** @type {Runtime[]} */ (options.runtime === "all" ? ["bun", "deno"] : [options.runtime]);
for (const runtime of runtimes.filter((name) => programOf(name) !== null)) {
  if (!await run(runtime, options)) process.exitCode = 1;
}
