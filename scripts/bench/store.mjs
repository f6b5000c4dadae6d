// @ts-check
/** What the store costs a request: an edge with nodes and declared tunnels in it beside an edge without one. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { root } from "../lib/toolchain.mjs";
import { startEdgeWithStore } from "./edge_with_store.mjs";
import { Generator } from "./generator.mjs";
import { NginxFarm } from "./nginx.mjs";
import { untilAnswering } from "./ports.mjs";
import { start, startRunnel } from "./runnel.mjs";
import { addPairs, measureRequests, nginxToMeasure, ratioText, rowOf, warmUpRequests } from "./side_by_side.mjs";

/** @typedef {import("./runnel.mjs").Runtime} Runtime */
/** @typedef {import("./side_by_side.mjs").Tunnel} Tunnel */
/** @typedef {import("./side_by_side.mjs").Sample} Sample */

const help =
  `Usage: node scripts/bench/store.mjs [--edge bun|deno] [--agent bun|deno] [--records N] [--rounds N] [--json]

Measures processor time of edge and agent for each request of 1 KiB at 32 connections, in pairs: an edge whose store
holds N nodes and N declared tunnels, one of them served by its node, beside an edge without a store. The tunnel is asked
by NAME.DOMAIN, which looks nothing up in the store, and by a hostname of its own. Prints the median of the pairs and the
95 % interval of their mean. Exits with 1 where a median is over the limit.

  --edge RUNTIME   what the edges run on (default bun)
  --agent RUNTIME  what the agents run on (default bun)
  --records N      nodes, and tunnels, in the store (default 1000)
  --rounds N       pairs of each measurement (default 20)
  --starts N       how often both are started anew, in alternating order (default 2)
  --limit RATIO    the most that a median may be (default 1.03)
  --json           print one JSON object
  --help           print this

Needs Linux and nginx. Without nginx nothing is measured, and the exit code is 0.`;

const ownHostname = "bench.example.org";

function readArguments() {
  const { values } = readOptions("store", help, {
    options: {
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      records: { type: "string", default: "1000" },
      rounds: { type: "string", default: "20" },
      starts: { type: "string", default: "2" },
      limit: { type: "string", default: "1.03" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("store", `--${name} is no runtime: ${values[name]}`);
  }
  /** @param {"records" | "rounds" | "starts"} name @param {number} least */
  const count = (name, least) => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= least) return number;
    return usageError("store", `--${name} is no whole number from ${least}: ${values[name]}`);
  };
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError("store", `--limit is no ratio: ${values.limit}`);
  const { edge, agent } = /** @type {{ edge: Runtime, agent: Runtime }} */ (values);
  const counts = { records: count("records", 1), rounds: count("rounds", 2), starts: count("starts", 1) };
  return { edge, agent, ...counts, limit, json: values.json };
}

/** @typedef {ReturnType<typeof readArguments>} Options */

/** A folder that cannot be made: an edge that got its token goes without a store then. */
const withoutStore = { RUNNEL_DATA: undefined, STATE_DIRECTORY: "/dev/null/none" };

/** @param {Options} options @param {number} originPort @returns {Promise<Tunnel>} */
function startWithout({ edge, agent }, originPort) {
  return startRunnel({ edge, agent, protocol: "v2", originPort, environment: withoutStore });
}

/** @param {Options} options @param {number} originPort @returns {Promise<Tunnel>} */
async function startWith({ edge: edgeRuntime, agent: agentRuntime, records }, originPort) {
  const { edge, folder, port, adminPort, adminToken } = await startEdgeWithStore(edgeRuntime);
  const tokenFile = join(folder, "node-token");
  writeFileSync(tokenFile, await fillStore(adminPort, adminToken, records, originPort), { mode: 0o600 });
  const agent = start("agent of a node", agentRuntime, join(root, "bin/agent.ts"), [
    ...["http", String(originPort), "--edge", `http://127.0.0.1:${port}`, "--token-file", tokenFile],
    ...["--name", "bench", "--protocol", "v2"],
  ]);
  const host = "bench.localhost";
  await Promise.race([untilAnswering(port, host), edge.lost, agent.lost]);
  const stop = async () => {
    await agent.stop();
    await edge.stop();
  };
  return { edge, agent, port, host, stop };
}

/**
 * Declares `bench` and so many tunnels that there are `records`, each with a node and a hostname of its own.
 * @param {number} adminPort @param {string} adminToken @param {number} records @param {number} originPort
 * @returns {Promise<string>} the token of the node that serves `bench`
 */
async function fillStore(adminPort, adminToken, records, originPort) {
  const headers = {
    Authorization: `Bearer ${adminToken}`,
    "Content-Type": "application/json",
  };
  /** @param {string} path @param {unknown} body */
  const post = async (path, body) => {
    const url = `http://127.0.0.1:${adminPort}/api/v1/${path}`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  };
  const upstream = `http://127.0.0.1:${originPort}`;
  const { token } = await post("nodes", { name: "bench" });
  await post("tunnels", { name: "bench", nodes: ["bench"], upstream, hostnames: [ownHostname] });
  for (let index = 1; index < records; index++) {
    await post("nodes", { name: `node-${index}` });
    const hostnames = [`a${index}.example.org`];
    await post("tunnels", { name: `tunnel-${index}`, nodes: [`node-${index}`], upstream, hostnames });
  }
  return token;
}

/** @param {Options} options @param {string} nginx */
async function run(options, nginx) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  /** @type {[Sample[], Sample[]]} */
  const byName = [[], []];
  /** @type {[Sample[], Sample[]]} */
  const byHostname = [[], []];
  try {
    const origin = await farm.startOrigin();
    for (let index = 0; index < options.starts; index++) {
      const starts = [() => startWith(options, origin.port), () => startWithout(options, origin.port)];
      /** @type {Tunnel[]} */
      const tunnels = [];
      // The one that is started first is slower by up to 5 %.
      for (const side of index % 2 === 0 ? [0, 1] : [1, 0]) tunnels[side] = await starts[side]();
      const [stored, plain] = tunnels;
      try {
        for (const tunnel of index % 2 === 0 ? tunnels : tunnels.toReversed()) await warmUpRequests(generator, tunnel);
        const rounds = Math.ceil(options.rounds / options.starts);
        await addPairs(measureRequests, generator, [stored, plain], rounds, byName);
        await addPairs(measureRequests, generator, [{ ...stored, host: ownHostname }, plain], rounds, byHostname);
      } finally {
        for (const tunnel of tunnels) await tunnel.stop();
      }
    }
  } finally {
    await generator.stop();
    await farm.stop();
  }
  return [rowOf("by NAME.DOMAIN", byName), rowOf("by its own hostname", byHostname)];
}

const options = readArguments();
const rows = await run(options, nginxToMeasure("store"));
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, rows }));
else {
  const { edge, agent, rounds, records } = options;
  console.log(`edge on ${edge}, agent on ${agent}, ${rounds} pairs, ${records} nodes and tunnels beside no store`);
  for (const { name, cpu } of rows) {
    console.log(`${name}, CPU: ${ratioText(cpu)}, ${cpu.here.toFixed(1)} µs a request beside ${cpu.there.toFixed(1)}`);
  }
}
if (rows.some(({ cpu }) => cpu.ratio > options.limit)) process.exitCode = 1;
