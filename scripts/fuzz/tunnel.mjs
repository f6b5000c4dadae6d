// @ts-check
/** What both fuzzers attack: an edge as a process, with tunnels, and what it must still do afterwards. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { startProgram, startTool } from "../abuse/processes.mjs";
import { freePort, untilAnswering } from "../bench/ports.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("../abuse/processes.mjs").Talker} Talker */

/** How much an edge may grow by cases that hold nothing when they are over. */
const growthLimitBytes = 150e6;
/** Far more than any takes, also on a busy machine. */
const answerLimitMs = 60_000;
const recoverMs = 15_000;
const neighborName = "neighbor";

export class Tunnel {
  /** @type {Talker[]} */
  #programs = [];
  #runtime;
  #restBytes = 0;
  #restDescriptors = 0;
  token = randomBytes(16).toString("hex");
  port = 0;

  /** @param {Runtime} runtime */
  constructor(runtime) {
    this.#runtime = runtime;
  }

  /** Starts the edge and the neighbor's tunnel. */
  async start() {
    this.port = await freePort();
    const task = JSON.stringify({ port: this.port, token: this.token });
    const edge = this.#add(startProgram("edge", this.#runtime, "scripts/abuse/edge.ts", [task]));
    await edge.told("ready");
    const upstream = this.#add(startTool("upstream", "upstream.mjs", {}));
    await this.startAgent(neighborName, (await upstream.told("ready")).port);
  }

  /** @param {string} name @param {number} upstreamPort */
  async startAgent(name, upstreamPort) {
    const agent = this.#add(
      startProgram(`agent of ${name}`, this.#runtime, "bin/agent.ts", [
        ...["http", String(upstreamPort), "--edge", `http://127.0.0.1:${this.port}`, "--token", this.token],
        ...["--name", name, "--log-level", "error"],
      ]),
    );
    await Promise.race([untilAnswering(this.port, `${name}.localhost`), agent.child.lost]);
  }

  /** What the edge is before the first case. */
  async rest() {
    for (let count = 0; count < 200; count++) await this.checkNeighbor();
    this.#restBytes = this.#edge.child.memory.resident;
    this.#restDescriptors = this.#edge.descriptors;
  }

  /** Throws where the neighbor is not served, and lost its session. */
  async checkNeighbor() {
    if (!this.#edge.isRunning) throw new Error(`the edge has ended:\n${this.#edge.child.stderr}`);
    const status = await Promise.race([
      get(this.port, `${neighborName}.localhost`),
      sleep(answerLimitMs, `no answer in ${answerLimitMs / 1000} s`, { ref: false }),
    ]);
    if (status !== 200) throw new Error(`the neighbor was not served: ${status}`);
    const end = this.#edge.lines.find(({ event, tunnel }) => event === "sessionEnd" && tunnel === neighborName);
    if (end !== undefined) throw new Error(`the neighbor's session ended: ${JSON.stringify(end)}`);
    // The ends of the cases' own sessions are of no interest.
    this.#edge.lines.length = 0;
  }

  /** Throws where the edge is not what it was before. Resolves with what it is. */
  async checkRest() {
    await this.checkNeighbor();
    const grownBytes = this.#edge.child.memory.resident - this.#restBytes;
    if (grownBytes > growthLimitBytes) throw new Error(`the edge has grown by ${Math.round(grownBytes / 1e6)} MB`);
    const deadline = performance.now() + recoverMs;
    while (this.#edge.descriptors > this.#restDescriptors && performance.now() < deadline) await sleep(50);
    const more = this.#edge.descriptors - this.#restDescriptors;
    if (more > 0) throw new Error(`${more} descriptors of the edge did not come back`);
    return { grownMB: Math.round(grownBytes / 1e6), descriptors: this.#edge.descriptors };
  }

  async stop() {
    for (const program of this.#programs.toReversed()) program.child.kill();
    while (this.#programs.some((program) => program.isRunning)) await sleep(10);
  }

  get #edge() {
    return this.#programs[0];
  }

  /** @param {Talker} program */
  #add(program) {
    this.#programs.push(program);
    return program;
  }
}

/** @param {number} port @param {string} host @returns {Promise<number | string>} the status, or why there is none */
function get(port, host) {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path: "/small", headers: { Host: host }, agent: false });
    asked.on("response", (answer) => {
      answer.on("end", () => resolve(answer.statusCode ?? 0)).on("error", (error) => resolve(error.message));
      answer.resume();
    });
    asked.on("error", (error) => resolve(error.message));
    asked.end();
  });
}
