/**
 * How long a deployment takes to its last agent: 100 agents that follow their configs, in this process, and an edge in one
 * of its own. Each deployment changes the tunnel of every agent, as `edge apply --wait` does it.
 *
 *     node_modules/.runnel/bin/bun scripts/bench/deploy.ts [--edge bun|deno] [--agents 100] [--rounds 50]
 *
 * Prints one JSON object: milliseconds from the request until the last agent has acknowledged, and until whoever waits
 * knows it. Exits with 1 where the first is over a second (p99).
 */
import { Agent as Pool, get, request } from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Runtime } from "../lib/toolchain.mjs";
import { startEdgeWithStore } from "./edge_with_store.mjs";
import { median } from "./figures.mjs";

const limitMs = 1_000;
/** Nodes that one question about a rollout may name. */
const nodesPerQuestion = 64;

const { values } = parseArgs({
  options: {
    edge: { type: "string", default: "bun" },
    agents: { type: "string", default: "100" },
    rounds: { type: "string", default: "50" },
  },
});
const runtime = values.edge as Runtime;
const count = Number(values.agents);
const rounds = Number(values.rounds);

const { edge, port, adminPort, adminToken } = await startEdgeWithStore(runtime);
const pool = new Pool({ keepAlive: true });

interface Asked {
  readonly port: number;
  readonly token: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

/** Resolves to the JSON of the answer; to null where it has no body. */
function ask({ port, token, method, path, body }: Asked): Promise<Record<string, unknown> | null> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = {
      Authorization: `Bearer ${token}`,
      ...(text === "" ? {} : { "Content-Type": "application/json", "Content-Length": text.length }),
    };
    request({ host: "127.0.0.1", port, method, path, headers, agent: pool }, (answer) => {
      let received = "";
      answer.setEncoding("utf8").on("data", (piece: string) => received += piece).on("end", () => {
        if (answer.statusCode! >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode} ${received}`));
        else resolve(received === "" ? null : JSON.parse(received));
      });
    }).on("error", reject).end(text);
  });
}

const askAdmin = async (method: string, path: string, body?: unknown) =>
  await ask({ port: adminPort, token: adminToken, method, path: `/api/v1/${path}`, body }) as Record<string, unknown>;

let onAcknowledged = (_version: number): void => {};

/** An agent that applies whatever it is told. Resolves once it listens. */
function follow(token: string): Promise<void> {
  const askEdge = (method: string, path: string, body?: unknown) =>
    ask({ port, token, method, path: `/api/agent/${path}`, body });
  const apply = async () => {
    const { version, checksum } = await askEdge("GET", "config") as { version: number; checksum: string };
    await askEdge("POST", "ack", { version, checksum, ok: true, instance: "bench" });
    onAcknowledged(version);
  };
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}` };
    get({ host: "127.0.0.1", port, path: "/api/agent/push?instance=bench", headers, agent: false }, (answer) => {
      answer.setEncoding("utf8").on("data", (text: string) => {
        if (text.includes(": connected")) apply().then(resolve, reject);
        if (text.includes("event: config_changed")) apply().catch(fail);
      });
    }).on("error", reject);
  });
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

type Nodes = readonly { readonly name: string; readonly version: number; readonly state?: string }[];

async function untilServed(nodes: Nodes): Promise<void> {
  for (let at = 0; at < nodes.length; at += nodesPerQuestion) {
    const query = nodes.slice(at, at + nodesPerQuestion).map(({ name, version }) => `node=${name}:${version}`).join(
      "&",
    );
    for (let seen = "";;) {
      const answer = await askAdmin("GET", `rollout?${query}&waitMs=20000${seen === "" ? "" : `&seen=${seen}`}`);
      seen = String(answer.tag);
      if ((answer.nodes as Nodes).every(({ state }) => state === "applied")) break;
    }
  }
}

/** Milliseconds until the last agent has acknowledged, and until who waits knows it. */
async function deploy(round: number): Promise<[acknowledgedMs: number, knownMs: number]> {
  const tunnels = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `tunnel-${index}`,
      { nodes: [`node-${index}`], upstream: `http://127.0.0.1:${1 + round}` },
    ]),
  );
  const acknowledged = new Map<number, number>();
  const done = Promise.withResolvers<number>();
  onAcknowledged = (version) => {
    acknowledged.set(version, (acknowledged.get(version) ?? 0) + 1);
    if (acknowledged.get(version) === count) done.resolve(performance.now());
  };
  const startedAt = performance.now();
  const { nodes } = await askAdmin("POST", "apply", { project: "bench", tunnels });
  await untilServed(nodes as Nodes);
  const knownMs = performance.now() - startedAt;
  return [await done.promise - startedAt, knownMs];
}

for (let index = 0; index < count; index++) {
  await follow(String((await askAdmin("POST", "nodes", { name: `node-${index}` })).token));
}
const samples: [number, number][] = [];
const cpuBefore = edge.cpuSeconds;
for (let round = 0; round < rounds; round++) samples.push(await Promise.race([deploy(round), edge.lost]));
const cpuMs = Math.round((edge.cpuSeconds - cpuBefore) * 1_000 / rounds);
await edge.stop();

function figures(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!);
  return { median: Math.round(median(sorted)), p99: at(0.99), max: at(1) };
}

const acknowledgedMs = figures(samples.map(([ms]) => ms));
const knownMs = figures(samples.map(([, ms]) => ms));
console.log(JSON.stringify({ edge: runtime, agents: count, rounds, acknowledgedMs, knownMs, cpuMs }));
process.exit(acknowledgedMs.p99 > limitMs ? 1 : 0);
