/**
 * What an idle stream costs the edge in memory: many public clients, each with an event stream that has begun and now
 * says nothing, all through one agent. The edge is a process of its own; agent and clients are in this one, which needs
 * as many descriptors (`ulimit -n`), and an upstream without sockets.
 *
 *     node_modules/.runnel/bin/bun scripts/bench/idle_streams.ts [--edge bun|deno] [--streams 10000]
 *
 * Prints one JSON object; `perStreamKiB` counts the public socket, too. Linux only.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Agent } from "../../src/agent/agent.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import type { Handler } from "../../src/http/message.ts";
import { programOf, root, runArguments, type Runtime } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { freePort } from "./ports.mjs";

const token = "idle-streams";
const name = "idle";
/** Opened at a time, as long as the last ones have not begun: a listener's queue is no longer. */
const batch = 100;
/** Opened before memory is first looked at: what the first exchanges cost, they cost once. */
const warmUp = 200;
const firstEvent = new TextEncoder().encode("data: begun\n\n");

/** Says one thing, and then nothing for ever. */
const upstream: Handler = () => {
  const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(firstEvent) });
  return Promise.resolve({ status: 200, fields: ["Content-Type", "text/event-stream"], body });
};

function startEdge(runtime: Runtime, port: number): Child {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  const args = ["serve", "--listen", `127.0.0.1:${port}`, "--token", token];
  return new Child(`edge (${runtime})`, program, runArguments(runtime, `${root}/bin/edge.ts`, args));
}

async function startAgent(port: number): Promise<Agent> {
  const edge = parseEdgeUrl(`http://127.0.0.1:${port}`);
  const ready = Promise.withResolvers<void>();
  const agent = new Agent({
    open: (signal) => openV2Tunnel({ edge, token, name, upstream, version: "0.0.0" }, signal),
    events: { onReady: () => ready.resolve() },
  });
  await Promise.race([ready.promise, agent.run()]);
  return agent;
}

/** Resolves once the first event is here. */
async function openStream(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET /events HTTP/1.1\r\nHost: ${name}.localhost\r\nAccept: text/event-stream\r\n\r\n`);
  let answer = "";
  while (!answer.includes("data: begun")) {
    const [chunk] = await Promise.race([once(socket, "data"), once(socket, "close")]);
    if (!(chunk instanceof Uint8Array)) throw new Error(`the edge closed a stream after ${JSON.stringify(answer)}`);
    answer += chunk.toString();
  }
  return socket;
}

async function openStreams(port: number, count: number, sockets: Socket[]): Promise<void> {
  for (let left = count; left > 0; left -= batch) {
    sockets.push(...await Promise.all(Array.from({ length: Math.min(batch, left) }, () => openStream(port))));
  }
}

/** What it holds once garbage was collected: the least within five seconds of rest. */
async function settledBytes(child: Child): Promise<number> {
  let least = Infinity;
  for (let second = 0; second < 5; second++) {
    await sleep(1_000);
    least = Math.min(least, child.memory.resident);
  }
  return least;
}

const { values } = parseArgs({
  options: { edge: { type: "string", default: "bun" }, streams: { type: "string", default: "10000" } },
});
const streams = Number(values.streams);
const port = await freePort();
const edge = startEdge(values.edge as Runtime, port);
const agent = await Promise.race([startAgent(port), edge.lost]);
const sockets: Socket[] = [];
await openStreams(port, warmUp, sockets);
const before = await settledBytes(edge);
await openStreams(port, streams, sockets);
const after = await settledBytes(edge);
const perStreamKiB = Math.round((after - before) / streams / 102.4) / 10;
console.log(JSON.stringify({ edge: values.edge, streams, perStreamKiB, edgeMiB: Math.round(after / 2 ** 20) }));
for (const socket of sockets) socket.destroy();
agent.close();
await edge.stop();
process.exit(0);
