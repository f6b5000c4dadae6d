// @ts-check
/** A child process that prints JSON objects, one a line, as the demo's three programs do. */
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { isolateEdges } from "./edge_surroundings.mjs";
import { commandOf, root } from "./toolchain.mjs";

/** @typedef {import("./toolchain.mjs").Form} Form */
/** @typedef {Record<string, unknown>} Line */

const stderrLimit = 8 * 1024;

/** Emits `line` for each object, and `exit` once. */
export class Program extends EventEmitter {
  /** Every program that has not ended yet; they end with this process, whatever ends it. @type {Set<Program>} */
  static running = new Set();

  #child;
  #stderr = "";

  /**
   * @param {string} name @param {Form} form @param {string} file @param {string[]} args
   * @param {{ descriptors?: number | null, fileBlocks?: number | null, inherited?: number | null, gate?: string | null }}
   *   limits descriptors that it may have open; blocks of 512 bytes to which a file may grow, beyond which writes fail.
   *   Null: as many as this process. A descriptor of this process that it gets as number 3. A FIFO: it begins when
   *   somebody has written a line there, and holds its descriptors before.
   */
  constructor(name, form, file, args, { descriptors = null, fileBlocks = null, inherited = null, gate = null } = {}) {
    super();
    isolateEdges();
    this.name = name;
    this.form = form;
    const limits = [
      ...(descriptors === null ? [] : [`ulimit -n ${descriptors}`]),
      // The signal would end the program.
      ...(fileBlocks === null ? [] : [`trap "" XFSZ; ulimit -f ${fileBlocks}`]),
      ...(gate === null ? [] : [`read -r _ < '${gate}'`]),
    ];
    const limited = limits.length === 0 ? [] : ["sh", "-c", `${limits.join("; ")}; exec "$@"`, "sh"];
    const [command, ...words] = [...limited, ...commandOf(form, file, args)];
    this.#child = spawn(command, words, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe", ...(inherited === null ? [] : [inherited])],
    });
    Program.running.add(this);
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("a child has no pipes");
    stderr.setEncoding("utf8").on("data", (text) => {
      this.#stderr = (this.#stderr + text).slice(-stderrLimit);
    });
    createInterface({ input: stdout }).on("line", (text) => this.#readLine(text));
    this.#child.on("close", () => {
      Program.running.delete(this);
      this.emit("exit");
    });
  }

  get pid() {
    return this.#child.pid;
  }

  get exited() {
    return !Program.running.has(this);
  }

  get exitCode() {
    return this.#child.exitCode;
  }

  /** The end of what it wrote to stderr. */
  get stderr() {
    return this.#stderr.trim();
  }

  /** Resident memory in bytes, now and at its highest, or null where the system does not tell (it stands in /proc). */
  get memory() {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
      const [resident, peak] = ["VmRSS", "VmHWM"].map((name) =>
        Number(status.match(`${name}:\\s+(\\d+) kB`)?.[1]) * 1024
      );
      return { resident, peak };
    } catch {
      return null;
    }
  }

  /**
   * The next line for which `wanted` holds; rejects where the program ends first or `limitMs` pass.
   * @param {(line: Line) => boolean} wanted @param {number} limitMs
   * @returns {Promise<Line>}
   */
  next(wanted, limitMs = 30_000) {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.off("line", onLine).off("exit", onExit);
      };
      /** @param {string} what */
      const fail = (what) => {
        stop();
        reject(new Error(`the ${this.name} (${this.form}) ${what}${this.stderr && `:\n${this.stderr}`}`));
      };
      /** @param {Line} line */
      const onLine = (line) => {
        if (line.event === "error") return fail(`says: ${line.message}`);
        if (!wanted(line)) return;
        stop();
        resolve(line);
      };
      const onExit = () => fail(`ended with exit code ${this.exitCode}`);
      const timer = setTimeout(() => fail(`was not ready within ${limitMs / 1000} s`), limitMs);
      this.on("line", onLine).on("exit", onExit);
    });
  }

  /**
   * Asks it to end, and ends it by force after `limitMs`. Tells whether asking was enough.
   * @param {number} limitMs
   */
  async stop(limitMs = 10_000) {
    if (this.exited) return true;
    let asked = true;
    const timer = setTimeout(() => {
      asked = false;
      this.kill();
    }, limitMs);
    const exit = once(this, "exit");
    this.#child.kill("SIGTERM");
    await exit;
    clearTimeout(timer);
    return asked;
  }

  kill() {
    this.#child.kill("SIGKILL");
  }

  /** @param {string} text */
  #readLine(text) {
    try {
      this.emit("line", JSON.parse(text));
    } catch {
      this.#stderr += `${text}\n`;
    }
  }
}

process.on("exit", () => Program.running.forEach((program) => program.kill()));
