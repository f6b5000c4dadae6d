/**
 * What an idle push stream costs the edge in memory, and how long a message takes to the last of many: agents of 100 nodes
 * that listen, in this process, and an edge in one of its own. Both need as many descriptors (`ulimit -n`).
 *
 *     node_modules/.runnel/bin/bun scripts/bench/push.ts [--edge bun|deno] [--streams 5000] [--rounds 5]
 *
 * Prints one JSON object; `perStreamKiB` counts the public socket, too. Exits with 1 where a stream costs over 12 KiB on
 * Bun or 48 on Deno, or the last one has a message after 2 s. Linux only.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Runtime } from "../lib/toolchain.mjs";
import { startEdgeWithStore } from "./edge_with_store.mjs";
import { median } from "./figures.mjs";

const limitsKiB: Readonly<Record<string, number>> = { bun: 12, deno: 48 };
const limitMs = 2_000;
const nodeCount = 100;
/** Opened at a time: a listener's queue is no longer. */
const batch = 100;
/** Opened before memory is first looked at: what the first streams cost, they cost once. */
const warmUp = 200;

const { values } = parseArgs({
  options: {
    edge: { type: "string", default: "bun" },
    streams: { type: "string", default: "5000" },
    rounds: { type: "string", default: "5" },
  },
});
const runtime = values.edge as Runtime;
const streams = Number(values.streams);
const rounds = Number(values.rounds);

const { edge, port, adminPort, adminToken } = await startEdgeWithStore(runtime);

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/v1/${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

const tokens: string[] = [];
for (let count = 0; count < nodeCount; count++) tokens.push(String((await post("nodes", { name: `n${count}` })).token));

interface Listener {
  readonly socket: Socket;
  /** Events that came. */
  events: number;
}

let onEvent = (): void => {};

/** Resolves once the stream has begun. */
async function listen(index: number): Promise<Listener> {
  const socket = connect(port, "127.0.0.1");
  const fields = `Host: 127.0.0.1\r\nAuthorization: Bearer ${tokens[index % nodeCount]}\r\n`;
  socket.write(`GET /api/agent/push?instance=i${Math.floor(index / nodeCount)} HTTP/1.1\r\n${fields}\r\n`);
  let head = "";
  while (!head.includes(": connected")) {
    const [chunk] = await Promise.race([once(socket, "data"), once(socket, "close")]);
    if (!(chunk instanceof Uint8Array)) throw new Error(`the edge closed a stream after ${JSON.stringify(head)}`);
    head += chunk.toString();
  }
  const listener = { socket, events: 0 };
  socket.on("data", (chunk: Uint8Array) => {
    if (!chunk.toString().includes("event: ")) return;
    listener.events++;
    onEvent();
  });
  return listener;
}

const listeners: Listener[] = [];

async function listenTo(count: number): Promise<void> {
  while (listeners.length < count) {
    const first = listeners.length;
    const opened = Array.from({ length: Math.min(batch, count - first) }, (_, index) => listen(first + index));
    listeners.push(...await Promise.all(opened));
  }
}

/** What the edge holds once garbage was collected: the least within five seconds of rest. */
async function settledBytes(): Promise<number> {
  let least = Infinity;
  for (let second = 0; second < 5; second++) {
    await sleep(1_000);
    least = Math.min(least, edge.memory.resident);
  }
  return least;
}

/** Milliseconds from the request to the last one's event. */
async function broadcast(): Promise<number> {
  let left = listeners.length;
  const done = Promise.withResolvers<void>();
  onEvent = () => --left === 0 && done.resolve();
  const startedAt = performance.now();
  const { streams: told } = await post("push", {
    all: true,
    type: "poll_interval",
    payload: { pollIntervalMs: 60_000 },
  });
  if (told !== listeners.length) throw new Error(`${told} of ${listeners.length} were told`);
  await Promise.race([
    done.promise,
    edge.lost,
    sleep(30_000).then(() => Promise.reject(new Error(`${left} heard nothing`))),
  ]);
  return performance.now() - startedAt;
}

await listenTo(warmUp);
const before = await settledBytes();
await listenTo(warmUp + streams);
const after = await settledBytes();
const perStreamKiB = Math.round((after - before) / streams / 102.4) / 10;
const cpuBefore = edge.cpuSeconds;
const times: number[] = [];
for (let round = 0; round < rounds; round++) times.push(await broadcast());
const cpuMs = Math.round((edge.cpuSeconds - cpuBefore) / rounds * 1_000);
console.log(JSON.stringify({
  edge: runtime,
  streams,
  perStreamKiB,
  edgeMiB: Math.round(after / 2 ** 20),
  lastMs: Math.round(median(times)),
  worstLastMs: Math.round(Math.max(...times)),
  edgeCpuMs: cpuMs,
}));
for (const { socket } of listeners) socket.destroy();
await edge.stop();
process.exit(perStreamKiB > limitsKiB[runtime]! || Math.max(...times) > limitMs ? 1 : 0);
