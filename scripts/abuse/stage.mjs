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
 * @property {{ restBytes: number, grownBytes: number, leavingBytes: number, bufferedBytes: number, leftBytes: number }}
 *   memory the edge's: at rest, the most above that during the flood and as it leaves, the most that it says to hold, and
 *   what it says so behind the flood
 * @property {number} agentGrownBytes the same growth of the neighbor's agent
 * @property {number | null} kernelBytes the most that the kernel held for the edge's connections; null: unknown
 * @property {{ rest: number, most: number, after: number }} descriptors of the edge
 * @property {number | null} freshMs until a visitor on a new connection had an answer, behind the flood; null: it had
 *   none
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
/** Until the neighbor's connections are there and its programs have settled, and how long its rest is then measured. */
const settleMs = 1000;
const restMs = { full: 1000, short: 200 };
const behindMs = { full: 1000, short: 200 };
const sampleMs = 50;
/** The last part of a flood, in which its visitors may leave already. */
const leavingMs = 300;
/** How long descriptors of the flood, and an answer for a new visitor, may take. */
const recoverMs = 10_000;
/**
 * How long what visitors have left behind may be held. The kernel of a machine under memory pressure fails to send some
 * resets (`TCPAbortFailed`), and says nothing more for these sockets: the edge's keep-alive then finds them gone, behind
 * 45 s of silence and a probe.
 */
const leftMs = 60_000;

/** Samples a program's memory and descriptors until `stop()`. */
class Watch {
  grownBytes = 0;
  /** The same from when the flood leaves on. On Bun a reset has all that is unread read, and then dropped. */
  leavingBytes = 0;
  #isLeaving = false;
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
      const bytes = program.child.memory.resident - this.restBytes;
      if (this.#isLeaving) this.leavingBytes = Math.max(this.leavingBytes, bytes);
      else this.grownBytes = Math.max(this.grownBytes, bytes);
      this.descriptors = Math.max(this.descriptors, program.descriptors);
      if (port === null || samples++ % 20 !== 0) return;
      const inKernel = kernelBytes(port);
      this.kernelBytes = inKernel === null ? null : Math.max(this.kernelBytes ?? 0, inKernel);
    }, sampleMs);
  }

  leave() {
    this.#isLeaving = true;
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

/**
 * What the neighbor's visitor measures before a flood and beside it.
 *
 * @param {Pick<Programs, "add">} programs @param {Talker} visitor @param {Record<string, any>} task
 * @param {boolean} short @param {() => void} onRest called when the flood is about to begin
 * @param {() => void} onLeaving called when it is about to end
 */
export async function flood(programs, visitor, task, short, onRest = () => {}, onLeaving = () => {}) {
  await measured(visitor);
  await sleep(short ? restMs.short : restMs.full);
  const rest = await measured(visitor);
  onRest();
  const flooding = programs.add(startTool("flood", "flood.mjs", task, { nice: true }));
  await flooding.told("ready");
  await measured(visitor);
  await Promise.race([sleep(task.seconds * 1000 - leavingMs), flooding.told("ended")]);
  onLeaving();
  await Promise.race([sleep(leavingMs), flooding.told("ended")]);
  const flooded = await measured(visitor);
  const { counts, told } = await flooding.told("ended");
  return { rest, flooded, counts, told, flooding };
}

/** Asks for the neighbor at `port`, from now on; resolves once it has settled. @param {number} port */
export async function startVisitor(port) {
  const visitor = startTool("neighbor", "neighbor.mjs", { port, host: `${neighborName}.localhost`, everyMs });
  await sleep(settleMs);
  return visitor;
}

/** What a flood is told. @param {Scenario} scenario @param {boolean} short @param {Record<string, any>} more */
export function taskOf(scenario, short, more) {
  const host = `${scenario.sharesAgent ? neighborName : floodedName}.localhost`;
  return { name: scenario.name, host, ...scenario.flood, ...(short ? scenario.short : {}), ...more };
}

/** Edge, agents, upstreams and the neighbor's visitor, on which scenarios of the same needs can be played. */
export class Stage extends Programs {
  #runtime;
  #needs;
  #token = randomBytes(16).toString("hex");
  #port = 0;
  /** What the edge told last of itself, and the most of it since a flood began. */
  #figures = { bufferedBytes: 0, mostBytes: 0, connections: 0 };
  #programs;

  /** @param {Runtime} runtime @param {Pick<Scenario, "sharesAgent" | "descriptors" | "readsLog">} needs */
  constructor(runtime, needs) {
    super();
    this.#runtime = runtime;
    this.#needs = needs;
    this.#programs = this.#start();
  }

  /** The scenarios of one key can be played on one stage. @param {Scenario} scenario */
  static keyOf({ sharesAgent, descriptors, readsLog }) {
    return JSON.stringify({ sharesAgent, descriptors, readsLog });
  }

  /** Starts all, and resolves with those that are looked at. */
  async #start() {
    const edge = await this.#startEdge();
    const agent = await this.#startTunnel(neighborName, this.#needs.sharesAgent);
    if (!this.#needs.sharesAgent) await this.#startTunnel(floodedName);
    return { edge, agent, visitor: this.add(await startVisitor(this.#port)) };
  }

  /** @param {Scenario} scenario @param {boolean} short @returns {Promise<Result>} */
  async play(scenario, short) {
    const { edge, agent, visitor } = await this.#programs;
    const figures = this.#figures;
    const task = taskOf(scenario, short, { port: this.#port, token: this.#token });
    const before = { descriptors: 0, connections: 0, lines: 0 };
    /** @type {Watch[]} */
    const watches = [];
    const { flooding, ...measures } = await flood(this, visitor, task, short, () => {
      Object.assign(before, {
        descriptors: edge.descriptors,
        connections: figures.connections,
        lines: edge.lines.length,
      });
      figures.mostBytes = 0;
      watches.push(new Watch(edge, this.#port), new Watch(agent));
    }, () => watches[0].leave());
    // Also where a signal ends this script: a route would outlive it.
    const restore = () => void (scenario.vanishes !== undefined && dropPacketsTo("del", scenario.vanishes));
    process.once("exit", restore);
    if (scenario.vanishes !== undefined) dropPacketsTo("add", scenario.vanishes);
    try {
      const freshMs = await this.#askFresh();
      await sleep(short ? behindMs.short : behindMs.full);
      const after = await measured(visitor);
      const leftBytes = await this.#leftBytes(scenario);
      const vanished = await this.#watch(scenario, short, before.connections);
      flooding.child.kill();
      const deadline = performance.now() + recoverMs;
      while (edge.descriptors > before.descriptors && performance.now() < deadline) await sleep(sampleMs);
      const [watch, agentWatch] = watches;
      const { restBytes, grownBytes, leavingBytes, kernelBytes } = watch;
      return {
        ...{ scenario: scenario.name, runtime: this.#runtime, ...measures, after, freshMs, vanished },
        memory: { restBytes, grownBytes, leavingBytes, bufferedBytes: figures.mostBytes, leftBytes },
        ...{ agentGrownBytes: agentWatch.grownBytes, kernelBytes },
        descriptors: { rest: before.descriptors, most: watch.descriptors, after: edge.descriptors },
        ends: edge.lines.slice(before.lines).filter((line) => line.event === "sessionEnd"),
        log: this.#needs.readsLog ? edge.child.stderr.split("\n").filter((line) => line !== "") : [],
        died: edge.isRunning ? null : "the edge has ended",
      };
    } finally {
      for (const item of watches) item.stop();
      process.off("exit", restore);
      restore();
    }
  }

  /** What is held behind the flood: a reset of a paused socket is noticed within about a second, if it was sent. */
  async #leftBytes(/** @type {Scenario} */ { leftBytes }) {
    const until = performance.now() + leftMs;
    while (leftBytes !== undefined && this.#figures.bufferedBytes > leftBytes && performance.now() < until) {
      await sleep(sampleMs);
    }
    return this.#figures.bufferedBytes;
  }

  /** Milliseconds until a visitor on a new connection has an answer; null where there is none. */
  async #askFresh() {
    const from = performance.now();
    const asked = untilAnswering(this.#port, `${neighborName}.localhost`).then(() => performance.now() - from);
    return await Promise.race([asked.catch(() => null), sleep(recoverMs, null, { ref: false })]);
  }

  /** Waits as long as the scenario wants. Resolves with the connections that are still there beside those of before. */
  async #watch(
    /** @type {Scenario} */ { watchSeconds = 0, vanishes },
    /** @type {boolean} */ short,
    restConnections = 0,
  ) {
    const until = performance.now() + (short ? 0 : watchSeconds * 1000);
    const extra = () => Math.max(0, this.#figures.connections - restConnections);
    while (performance.now() < until && !(vanishes !== undefined && extra() === 0)) await sleep(sampleMs);
    return extra();
  }

  async #startEdge() {
    const { sharesAgent = false, descriptors, readsLog = false } = this.#needs;
    this.#port = await freePort();
    const place = sharesAgent ? {} : { on: /** @type {const} */ ("measured"), descriptors };
    const [file, ...words] = readsLog
      ? ["bin/edge.ts", "serve", "--listen", `127.0.0.1:${this.#port}`, "--token", this.#token, "--json"]
      : ["scripts/abuse/edge.ts", JSON.stringify({ port: this.#port, token: this.#token })];
    const edge = this.add(startProgram("edge", this.#runtime, file, words, place));
    edge.onLine = (line) => {
      if (line.event !== "figures") return;
      Object.assign(this.#figures, { bufferedBytes: line.bufferedBytes, connections: line.connections });
      this.#figures.mostBytes = Math.max(this.#figures.mostBytes, line.bufferedBytes);
    };
    await edge.told("ready");
    return edge;
  }

  /** An upstream and its agent, once both serve. @param {string} name */
  async #startTunnel(name, isMeasured = false) {
    const upstream = this.add(startTool(`upstream of ${name}`, "upstream.mjs", {}));
    const { port } = await upstream.told("ready");
    const place = isMeasured ? { on: /** @type {const} */ ("measured"), descriptors: this.#needs.descriptors } : {};
    const agent = this.add(
      startProgram(`agent of ${name}`, this.#runtime, "bin/agent.ts", [
        ...["http", String(port), "--edge", `http://127.0.0.1:${this.#port}`, "--token", this.#token],
        ...["--name", name, "--log-level", "error"],
      ], place),
    );
    await Promise.race([untilAnswering(this.#port, `${name}.localhost`), agent.child.lost]);
    return agent;
  }
}
