// @ts-check
/** One scenario on one runtime: an edge, a neighbor with an agent of its own, what is flooded, and the flood. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, untilAnswering } from "../bench/ports.mjs";
import { dropPacketsTo, kernelBytes, startProgram, startTool } from "./processes.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./processes.mjs").Talker} Talker */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */
/** @typedef {import("./processes.mjs").Line} Line */
/**
 * @typedef {{ requests: number, waiting: number, p50Ms: number, p99Ms: number, failures: Record<string, number> }}
 * Latency
 */
/**
 * @typedef {object} Result
 * @property {string} scenario
 * @property {Runtime} runtime
 * @property {Latency} rest the neighbor's before the flood
 * @property {Latency} flooded the same meanwhile
 * @property {Latency} after the same in the second behind it
 * @property {{ restBytes: number, grownBytes: number, bufferedBytes: number, leftBytes: number }} memory the edge's: at
 *   rest, the most above that, the most that it says to hold, and what it says so a second behind the flood
 * @property {number} agentGrownBytes the same growth of the neighbor's agent
 * @property {number | null} kernelBytes the most that the kernel held for the edge's connections; null: unknown
 * @property {{ rest: number, most: number, after: number }} descriptors of the edge
 * @property {number} freshMs until a visitor on a new connection had an answer, behind the flood
 * @property {number} vanished connections that the edge still had of those that are gone without a word
 * @property {Record<string, number>} counts what the flood has counted
 * @property {any} told what else the flood tells
 * @property {Line[]} ends the sessions that the edge has ended
 * @property {string[]} log lines of the edge's log, where the scenario reads it
 * @property {string | null} died what the edge said when it ended by itself
 */

export const neighborName = "neighbor";
export const floodedName = "flooded";
const everyMs = 10;
const restMs = 1500;
const sampleMs = 50;
/** How long descriptors of the flood may take to come back. */
const recoverMs = 10_000;

/** Samples a program's memory and descriptors until `stop()`. */
class Watch {
  grownBytes = 0;
  descriptors = 0;
  /** @type {number | null} */
  kernelBytes = 0;
  #timer;

  /** @param {Talker} program @param {number | null} port whose connections are looked at, too */
  constructor(program, port = null) {
    this.restBytes = program.child.memory.resident;
    let samples = 0;
    this.#timer = setInterval(() => {
      if (!program.isRunning) return;
      this.grownBytes = Math.max(this.grownBytes, program.child.memory.resident - this.restBytes);
      this.descriptors = Math.max(this.descriptors, program.descriptors);
      if (port === null || samples++ % 20 !== 0) return;
      const bytes = kernelBytes(port);
      this.kernelBytes = bytes === null ? null : Math.max(this.kernelBytes ?? 0, bytes);
    }, sampleMs);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** What the visitor has measured since it was last asked. @param {Talker} visitor @returns {Promise<Latency>} */
async function measured(visitor) {
  visitor.lines.length = 0;
  visitor.tell({ event: "measure" });
  const { event: _, ...latency } = await visitor.told("measured");
  return /** @type {Latency} */ (latency);
}

/** Programs that end together. */
class Programs {
  /** @type {Talker[]} */
  #all = [];

  /** @template {Talker} T @param {T} program @returns {T} */
  add(program) {
    this.#all.push(program);
    return program;
  }

  async stop() {
    for (const program of this.#all.toReversed()) program.child.kill();
    while (this.#all.some((program) => program.isRunning)) await sleep(10);
  }
}

/** The edge and the agents of a scenario. */
class Stage extends Programs {
  #runtime;
  #scenario;
  token = randomBytes(16).toString("hex");
  port = 0;

  /** @param {Runtime} runtime @param {Scenario} scenario */
  constructor(runtime, scenario) {
    super();
    this.#runtime = runtime;
    this.#scenario = scenario;
  }

  async startEdge() {
    const { sharesAgent = false, descriptors, readsLog = false } = this.#scenario;
    this.port = await freePort();
    const place = sharesAgent ? {} : { on: /** @type {const} */ ("measured"), descriptors };
    const [file, ...words] = readsLog
      ? ["bin/edge.ts", "serve", "--listen", `127.0.0.1:${this.port}`, "--token", this.token, "--json"]
      : ["scripts/abuse/edge.ts", JSON.stringify({ port: this.port, token: this.token })];
    const edge = this.add(startProgram("edge", this.#runtime, file, words, place));
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
}

/** @param {Scenario} scenario @param {boolean} short */
export const taskOf = (scenario, short) => ({ ...scenario.flood, ...(short ? scenario.short : {}) });

/** @param {Runtime} runtime @param {Scenario} scenario @param {boolean} short @returns {Promise<Result>} */
export async function play(runtime, scenario, short) {
  const stage = new Stage(runtime, scenario);
  try {
    return await playOn(stage, runtime, scenario, short);
  } finally {
    await stage.stop();
    if (scenario.vanishes !== undefined) dropPacketsTo("del", scenario.vanishes);
  }
}

/**
 * The neighbor's figures before, beside and behind a flood at `port`.
 * @param {Pick<Programs, "add">} programs @param {number} port
 * @param {Record<string, any>} task @param {() => void} onRest called when the flood is about to begin
 */
export async function flood(programs, port, task, onRest = () => {}) {
  const host = `${neighborName}.localhost`;
  const visitor = programs.add(startTool("neighbor", "neighbor.mjs", { port, host, everyMs }));
  await sleep(restMs);
  await measured(visitor);
  await sleep(restMs / 2);
  const rest = await measured(visitor);
  onRest();
  const flooding = programs.add(
    startTool("flood", "flood.mjs", { host: `${floodedName}.localhost`, ...task, port }, { nice: true }),
  );
  await flooding.told("ready");
  await measured(visitor);
  await sleep(task.seconds * 1000);
  const flooded = await measured(visitor);
  const { counts, told } = await flooding.told("ended");
  return { rest, flooded, counts, told, flooding, after: () => measured(visitor) };
}

/**
 * @param {Stage} stage
 * @param {Runtime} runtime @param {Scenario} scenario @param {boolean} short @returns {Promise<Result>}
 */
async function playOn(stage, runtime, scenario, short) {
  const { agent: protocol = "v2", sharesAgent = false, readsLog = false } = scenario;
  const edge = await stage.startEdge();
  const neighbor = await stage.startTunnel(neighborName, "v2", sharesAgent);
  if (protocol !== "none" && !sharesAgent) await stage.startTunnel(floodedName, protocol);
  const figures = { bufferedBytes: 0, mostBytes: 0, connections: 0 };
  edge.onLine = (line) => {
    if (line.event !== "figures") return;
    Object.assign(figures, { bufferedBytes: line.bufferedBytes, connections: line.connections });
    figures.mostBytes = Math.max(figures.mostBytes, line.bufferedBytes);
  };
  const task = {
    ...taskOf(scenario, short),
    token: stage.token,
    ...(sharesAgent ? { host: `${neighborName}.localhost` } : {}),
  };
  let restDescriptors = 0;
  let restConnections = 0;
  /** @type {Watch[]} */
  const watches = [];
  const { rest, flooded, counts, told, flooding, after } = await flood(stage, stage.port, task, () => {
    restDescriptors = edge.descriptors;
    restConnections = figures.connections;
    watches.push(new Watch(edge, stage.port), new Watch(neighbor.agent));
  });
  if (scenario.vanishes !== undefined) dropPacketsTo("add", scenario.vanishes);
  const freshFrom = performance.now();
  await untilAnswering(stage.port, `${neighborName}.localhost`);
  const freshMs = performance.now() - freshFrom;
  await sleep(1000);
  const behind = await after();
  const leftBytes = figures.bufferedBytes;
  const watchUntil = performance.now() + (short ? 0 : (scenario.watchSeconds ?? 0) * 1000);
  const isGone = () => scenario.vanishes !== undefined && figures.connections <= restConnections;
  while (performance.now() < watchUntil && !isGone()) await sleep(sampleMs);
  const vanished = Math.max(0, figures.connections - restConnections);
  flooding.child.kill();
  const deadline = performance.now() + recoverMs;
  while (edge.descriptors > restDescriptors && performance.now() < deadline) await sleep(sampleMs);
  const [watch, agentWatch] = watches;
  for (const item of watches) item.stop();
  return {
    ...{ scenario: scenario.name, runtime, rest, flooded, after: behind, freshMs, vanished, counts, told },
    memory: { restBytes: watch.restBytes, grownBytes: watch.grownBytes, bufferedBytes: figures.mostBytes, leftBytes },
    agentGrownBytes: agentWatch.grownBytes,
    kernelBytes: watch.kernelBytes,
    descriptors: { rest: restDescriptors, most: watch.descriptors, after: edge.descriptors },
    ends: edge.lines.filter((line) => line.event === "sessionEnd"),
    log: readsLog ? edge.child.stderr.split("\n").filter((line) => line !== "") : [],
    died: edge.isRunning ? null : "the edge has ended",
  };
}
