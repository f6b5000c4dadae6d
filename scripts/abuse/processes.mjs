// @ts-check
/** How the programs of a scenario are started: where they run, and what they may have open. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isOnPath } from "../lib/peers.mjs";
import { programOf, root, runArguments } from "../lib/toolchain.mjs";
import { Child } from "../bench/child.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {Record<string, any>} Line */
/**
 * @typedef {object} Place
 * @property {"measured" | "other"} [on] the processor: the measured program has one for itself, so that a flood takes
 *   none of it
 * @property {boolean} [nice] gives way to what shares its processor
 * @property {number} [descriptors] the most that the process may have open
 */

const canPin = isOnPath("taskset") && availableParallelism() > 1;
const others = `1-${availableParallelism() - 1}`;

/** @param {string} command @param {string[]} args @param {Place} place @returns {[string, string[]]} */
function placed(command, args, { on = "other", nice = false, descriptors }) {
  let words = [command, ...args];
  if (nice) words = ["nice", "-n", "10", ...words];
  if (canPin) words = ["taskset", "-c", on === "measured" ? "0" : others, ...words];
  if (descriptors !== undefined) words = ["prlimit", `--nofile=${descriptors}:${descriptors}`, ...words];
  return [words[0], words.slice(1)];
}

/** A child that prints JSON objects, one a line. */
export class Talker {
  #child;
  /** @type {Line[]} */
  lines = [];
  /** @type {(line: Line) => void} */
  onLine = () => {};

  /** @param {string} name @param {[string, string[]]} command */
  constructor(name, [file, args]) {
    this.#child = new Child(name, file, args, { stdin: "pipe", stdout: "pipe" });
    this.#child.stdin.on("error", () => {});
    createInterface({ input: this.#child.stdout }).on("line", (text) => {
      const line = text.startsWith("{") ? JSON.parse(text) : { event: "text", text };
      if (line.event !== "figures") this.lines.push(line);
      this.onLine(line);
    });
  }

  get child() {
    return this.#child;
  }

  get isRunning() {
    return Child.running.has(this.#child);
  }

  /** How many descriptors it has open; 0 once it has ended. */
  get descriptors() {
    try {
      return readdirSync(`/proc/${this.#child.pid}/fd`).length;
    } catch {
      return 0;
    }
  }

  /** The first line of that event, once it is there. @param {string} event @returns {Promise<Line>} */
  async told(event) {
    for (;;) {
      const line = this.lines.find((item) => item.event === event);
      if (line !== undefined) return line;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 10)), this.#child.lost]);
    }
  }

  /** @param {Line} line */
  tell(line) {
    this.#child.stdin.write(JSON.stringify(line) + "\n");
  }
}

/**
 * A program of this folder, by Node.
 * @param {string} name @param {string} file @param {Line} task @param {Place} place
 */
export function startTool(name, file, task, place = {}) {
  const args = [join(root, "scripts/abuse", file), JSON.stringify(task)];
  return new Talker(name, placed(process.execPath, args, place));
}

/**
 * A TypeScript program.
 * @param {string} name @param {Runtime} runtime @param {string} file @param {string[]} args @param {Place} place
 */
export function startProgram(name, runtime, file, args, place = {}) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  return new Talker(`${name} (${runtime})`, placed(program, runArguments(runtime, join(root, file), args), place));
}

/**
 * Bytes that the kernel holds to be sent on connections of `port`; null where `ss` does not tell.
 * @param {number} port
 */
export function kernelBytes(port) {
  const { status, stdout } = spawnSync("ss", ["-tmnH", `sport = :${port}`], { encoding: "utf8" });
  if (status !== 0) return null;
  const held = Array.from(stdout.matchAll(/skmem:\(r\d+,rb\d+,t(\d+),tb\d+,f\d+,w(\d+)/g));
  return held.reduce((sum, [, sending, queued]) => sum + Number(sending) + Number(queued), 0);
}

/**
 * Has the kernel drop what is sent to `address`, one of the loopback's, or take that back. False where it may not.
 * @param {"add" | "del"} act @param {string} address
 */
export function dropPacketsTo(act, address) {
  const words = ["route", act, "blackhole", `${address}/32`, "table", "local"];
  return spawnSync("ip", words, { stdio: "ignore" }).status === 0;
}
