/**
 * Many agents in one process, each with a connection and a tunnel of its own, and an upstream without sockets that answers
 * 1 KiB, or `/ticks` with a byte every 20 ms. For many_tunnels.mjs and recovery.mjs:
 *
 *     bun scripts/bench/many_agents.ts PORTS TOKEN FIRST COUNT
 *
 * opens the tunnels `t{FIRST}` and those behind it, and prints `ready` once all are open. PORTS are one or several of the
 * edge, with commas, which the agents dial in turns.
 */
import process from "node:process";
import { Agent } from "../../src/agent/agent.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { Handler } from "../../src/http/message.ts";
import { holdProcess } from "../../src/net/mod.ts";

const [ports = "", token = "", first, count] = process.argv.slice(2);
const edges = ports.split(",").map((port) => parseEdgeUrl(`http://127.0.0.1:${port}`));
/** Opened at a time: a listener's queue is no longer. */
const batch = 100;

const tickMs = 20;

const fields = ["Content-Type", "text/plain", "Content-Length", "1024"];
const upstream: Handler = ({ target }) => {
  if (target === "/ticks") return Promise.resolve({ status: 200, fields: [], body: ticks() });
  return Promise.resolve({ status: 200, fields, body: new Uint8Array(1024) });
};

function ticks(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if (controller.desiredSize! > 0) controller.enqueue(Uint8Array.of(46));
      }, tickMs);
    },
    cancel: () => clearInterval(timer),
  });
}

async function open(name: string, index: number): Promise<void> {
  const edge = edges[index % edges.length]!;
  const ready = Promise.withResolvers<void>();
  const agent = new Agent({
    open: (signal) => openV2Tunnel({ edge, token, name, upstream, version: "0.0.0" }, signal),
    events: { onReady: () => ready.resolve() },
  });
  await Promise.race([ready.promise, agent.run()]);
}

holdProcess();
const names = Array.from({ length: Number(count) }, (_, index) => `t${Number(first) + index}`);
for (let from = 0; from < names.length; from += batch) {
  await Promise.all(names.slice(from, from + batch).map((name, index) => open(name, from + index)));
}
console.log("ready");
