/** A worker (worker.ts) from outside, on the runtime that runs this. */
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runArguments, type Runtime } from "../../lib/toolchain.mjs";
import { Child } from "../child.mjs";
import { runtimeName } from "./subjects.ts";
import type { WorkerRequest } from "./worker.ts";

const path = fileURLToPath(new URL("worker.ts", import.meta.url));

export class WorkerProcess {
  readonly #child: Child;
  readonly #answers: AsyncIterator<string>;

  /** @param name for messages */
  constructor(name: string) {
    const args = runArguments(runtimeName as Runtime, path, []);
    this.#child = new Child(name, process.execPath, args, { stdin: "pipe", stdout: "pipe" });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @throws {Error} where the worker ended, with what it said on standard error */
  async ask<T>(request: WorkerRequest): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await Promise.race([this.#answers.next(), this.#child.lost]);
    if (done === true) return await this.#child.lost;
    return JSON.parse(value);
  }

  run<T>(workload: string, options: Record<string, unknown>): Promise<T> {
    return this.ask({ workload, options });
  }

  async end(): Promise<void> {
    await this.#child.stop();
  }
}
