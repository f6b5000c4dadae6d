// @ts-check
/** One scenario on one runtime: an edge, a neighbor with an agent of its own, what is flooded, and the flood. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, untilAnswering } from "../bench/ports.mjs";
import { startProgram, startTool, Talker } from "./processes.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */
/** @typedef {import("./processes.mjs").Line} Line */
/** @typedef {{ requests: number, waiting: number, p50Ms: number, p99Ms: number, failures: Record<string, number> }} Latency */
/**
 * @typedef {object} Result
 * @property {string} scenario
 * @property {Runtime} runtime
 * @property {Latency} rest the neighbor's before the flood
 * @property {Latency} flooded the same meanwhile
 * @property {Latency} after the same in the second behind it
 * @property {{ restBytes: number, grownBytes: number, bufferedBytes: number }} memory the edge's: at rest, the most
 *   above that, and the most that it says to hold
 * @property {number} agentGrownBytes the same growth of the neighbor's agent
 * @property {{ rest: number, most: number, after: number }} descriptors of the edge
 * @property {Record<string, number>} counts what the flood has counted
 * @property {any} told what else the flood tells
 * @property {Line[]} ends the sessions that the edge has ended
 * @property {string | null} died what the edge said when it ended by itself
 */

const neighborName = "neighbor";
const victimName = "flooded";
const everyMs = 10;
const restMs = 1500;
const sampleMs = 50;
/** How long descriptors of the flood may take to come back. */
const recoverMs = 10_000;

/** Samples a program's memory and descriptors until `stop()`. */
class Watch {
  grownBytes = 0;
  descriptors = 0;
  #timer;

  /** @param {Talker} program */
  constructor(program) {
    this.restBytes = program.child.memory.resident;
    this.#timer = setInterval(() => {
      if (!program.isRunning) return;
      this.grownBytes = Math.max(this.grownBytes, program.child.memory.resident - this.restBytes);
      this.descriptors = Math.max(this.descriptors, program.descriptors);
    }, sampleMs);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** @param {Talker} visitor @returns {Promise<Latency>} */
async function measured(visitor) {
  visitor.lines.length = 0;
  visitor.tell({ event: "measure" });
  const { event: _, ...latency } = await visitor.told("measured");
  return /** @type {Latency} */ (latency);
}

/** What a scenario starts; everything ends with `stop()`. */
class Stage {
  /** @type {Talker[]} */
  #programs = [];
  #runtime;
  #scenario;
  token = randomBytes(16).toString("hex");
  port = 0;

  /** @param {Runtime} runtime @param {Scenario} scenario */
  constructor(runtime, scenario) {
    this.#runtime = runtime;
    this.#scenario = scenario;
  }

  /** @template {Talker} T @param {T} program @returns {T} */
  add(program) {
    this.#programs.push(program);
    return program;
  }

  async startEdge() {
    const { sharesAgent = false, descriptors } = this.#scenario;
    this.port = await freePort();
    const task = JSON.stringify({ port: this.port, token: this.token });
    const place = sharesAgent ? {} : { on: /** @type {const} */ ("measured"), descriptors };
    const edge = this.add(startProgram("edge", this.#runtime, "scripts/abuse/edge.ts", [task], place));
    await edge.told("ready");
    return edge;
  }

  /** An upstream and its agent, once both serve. @param {string} name @param {string} protocol */
  async startTunnel(name, protocol, isMeasured = false) {
    const upstream = this.add(startTool(`upstream of ${name}`, "upstream.mjs", {}));
    const { port } = await upstream.told("ready");
    const place = isMeasured ? { on: /** @type {const} */ ("measured"), descriptors: this.#scenario.descriptors } : {};
    const words = ["http", String(port), "--edge", `http://127.0.0.1:${this.port}`, "--token", this.token];
    const agent = this.add(
      startProgram(`agent of ${name}`, this.#runtime, "bin/agent.ts", [
        ...[...words, "--name", name, "--protocol", protocol, "--log-level", "error"],
      ], place),
    );
    await Promise.race([untilAnswering(this.port, `${name}.localhost`), agent.child.lost]);
    return { upstream, agent };
  }

  async stop() {
    for (const program of this.#programs.toReversed()) program.child.kill();
    while (this.#programs.some((program) => program.isRunning)) await sleep(10);
  }
}

/** @param {Scenario} scenario @param {boolean} short */
const taskOf = (scenario, short) => ({ ...scenario.flood, ...(short ? scenario.short : {}) });

/** @param {Runtime} runtime @param {Scenario} scenario @param {boolean} short @returns {Promise<Result>} */
export async function play(runtime, scenario, short) {
  const stage = new Stage(runtime, scenario);
  try {
    return await playOn(stage, runtime, scenario, short);
  } finally {
    await stage.stop();
  }
}

/** @param {Stage} stage @param {Runtime} runtime @param {Scenario} scenario @param {boolean} short @returns {Promise<Result>} */
async function playOn(stage, runtime, scenario, short) {
  const { agent: protocol = "v2", sharesAgent = false, watchSeconds = 0 } = scenario;
  const edge = await stage.startEdge();
  const neighbor = await stage.startTunnel(neighborName, "v2", sharesAgent);
  if (protocol !== "none" && !sharesAgent) await stage.startTunnel(victimName, protocol);
  let bufferedBytes = 0;
  edge.onLine = (line) => {
    if (line.event === "figures") bufferedBytes = Math.max(bufferedBytes, line.bufferedBytes);
  };
  const host = `${neighborName}.localhost`;
  const visitor = stage.add(startTool("neighbor", "neighbor.mjs", { port: stage.port, host, everyMs }));
  await sleep(restMs);
  await measured(visitor);
  await sleep(restMs / 2);
  const rest = await measured(visitor);
  const restDescriptors = edge.descriptors;
  const watch = new Watch(edge);
  const agentWatch = new Watch(neighbor.agent);

  const task = {
    ...taskOf(scenario, short),
    ...{ port: stage.port, token: stage.token, host: sharesAgent ? host : `${victimName}.localhost` },
  };
  const flood = stage.add(startTool("flood", "flood.mjs", task, { nice: true }));
  await flood.told("ready");
  await measured(visitor);
  await sleep(task.seconds * 1000);
  const flooded = await measured(visitor);
  const { counts, told } = await flood.told("ended");
  await sleep(1000);
  const after = await measured(visitor);
  if (!short) await sleep(watchSeconds * 1000);
  const deadline = performance.now() + recoverMs;
  while (edge.descriptors > restDescriptors && performance.now() < deadline) await sleep(sampleMs);
  watch.stop();
  agentWatch.stop();
  return {
    ...{ scenario: scenario.name, runtime, rest, flooded, after, counts, told },
    memory: { restBytes: watch.restBytes, grownBytes: watch.grownBytes, bufferedBytes },
    agentGrownBytes: agentWatch.grownBytes,
    descriptors: { rest: restDescriptors, most: watch.descriptors, after: edge.descriptors },
    ends: edge.lines.filter((line) => line.event === "sessionEnd"),
    died: edge.isRunning ? null : "the edge has ended",
  };
}
