// @ts-check
/** The load generator's process (load.mjs), as an object. */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { programOf, root } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";

/** @typedef {import("./load.mjs").Task} Task */
/** @typedef {import("./load.mjs").Result} Result */

export class Generator {
  #child;
  #lines;

  constructor() {
    // Bun asks with the least processor time; what it takes is missing to those that are measured.
    const program = programOf("bun") ?? process.execPath;
    this.#child = new Child("load generator", program, [join(root, "scripts/bench/load.mjs")], {
      stdin: "pipe",
      stdout: "pipe",
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Tasks run one after the other. @param {Task} task @returns {Promise<Result>} */
  async run(task) {
    this.#child.stdin.write(JSON.stringify(task) + "\n");
    const { value } = await Promise.race([this.#lines.next(), this.#child.lost]);
    const result = JSON.parse(value ?? '{"error":"it ended"}');
    if (result.error !== undefined) throw new Error(`load generator: ${result.error}`);
    return result;
  }

  async stop() {
    await this.#child.stop();
  }
}
