// @ts-check
/** A measured child process: what it cost so far, and its end. Linux only: the figures stand in /proc. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { isolateEdges } from "../lib/edge_surroundings.mjs";

/** Clock ticks a second of /proc/PID/stat: 100 on every Linux that Node, Bun and Deno run on. */
const ticksPerSecond = 100;
const stderrLimit = 8 * 1024;
const stopLimitMs = 10_000;

export class Child {
  /** Those that have not ended yet; they end with this process, whatever ends it. @type {Set<Child>} */
  static running = new Set();

  #child;
  #stderr = "";

  /**
   * @param {string} name for messages
   * @param {string} file @param {string[]} args
   * @param {{ stdin?: "pipe", stdout?: "pipe" }} pipes what this process talks to; else nobody is there
   * @param {NodeJS.ProcessEnv} environment beside that of this process; undefined takes a variable away
   */
  constructor(name, file, args, pipes = {}, environment = {}) {
    this.name = name;
    isolateEdges();
    this.#child = spawn(file, args, {
      stdio: [pipes.stdin ?? "ignore", pipes.stdout ?? "ignore", "pipe"],
      env: { ...process.env, ...environment },
    });
    Child.running.add(this);
    this.#child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.#stderr = (this.#stderr + text).slice(-stderrLimit);
    });
    /** Rejects where it ended without being asked to. @type {Promise<never>} */
    this.lost = new Promise((_, reject) => {
      this.#child.on("error", (error) => reject(new Error(`${name} did not start: ${error.message}`)));
      this.#child.on("close", (code, signal) => {
        Child.running.delete(this);
        reject(new Error(`${name} ended with ${signal ?? `exit code ${code}`}\n${this.#stderr.trim()}`));
      });
    });
    // Who waits for something of this child races with `lost`; an end that nobody waits for is no error.
    this.lost.catch(() => {});
  }

  get pid() {
    return this.#child.pid;
  }

  /** The end of what it wrote to standard error. */
  get stderr() {
    return this.#stderr;
  }

  get stdin() {
    return /** @type {import("node:stream").Writable} */ (this.#child.stdin);
  }

  get stdout() {
    return /** @type {import("node:stream").Readable} */ (this.#child.stdout);
  }

  /** Seconds of processor time since its start, user and system. */
  get cpuSeconds() {
    const text = readFileSync(`/proc/${this.#child.pid}/stat`, "latin1");
    // The name of the program, in parentheses, may hold spaces; utime and stime are the 14th and 15th field.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  /** Bytes of memory, now and at the highest. */
  get memory() {
    const text = readFileSync(`/proc/${this.#child.pid}/status`, "latin1");
    /** @param {string} name */
    const bytes = (name) => Number(text.match(`${name}:\\s+(\\d+) kB`)?.[1]) * 1024;
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  /** Asks it to end, and ends it by force where that takes too long. */
  async stop() {
    if (!Child.running.has(this)) return;
    const ended = once(this.#child, "close");
    const timer = setTimeout(() => this.kill(), stopLimitMs);
    this.#child.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
  }

  kill() {
    this.#child.kill("SIGKILL");
  }
}

process.on("exit", () => Child.running.forEach((child) => child.kill()));
