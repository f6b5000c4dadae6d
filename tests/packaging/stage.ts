/** What the tests of packaging share: builds in folders of their own, and processes with an environment of their own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { manifest } from "../../scripts/lib/toolchain.mjs";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const version = manifest.version;

const system = process.platform === "win32" ? "windows" : process.platform;

/** What `--target` calls this machine. */
export const hostTarget = `${system}-${process.arch}`;

/** A commit for builds whose own does not matter. */
export const commit = "0123456789ab";

export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(command: string, args: readonly string[], options: {
  cwd?: string;
  env?: Record<string, string>;
} = {}): Output {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

/** The same, for a command that must succeed. */
export function succeed(...call: Parameters<typeof run>): Output {
  const output = run(...call);
  assert.equal(output.status, 0, `${call[0]} ${call[1].join(" ")}\n${output.stdout}${output.stderr}`);
  return output;
}

/** Runs a script of `scripts/`, which must succeed. */
export function script(name: string, ...args: string[]): Output {
  return succeed(join(root, "scripts", name), args);
}

/**
 * A program that goes on, and prints JSON. It inherits this process's environment: with one of its own, `spawn` of Deno
 * would add to that and not replace it.
 */
export class Service {
  readonly #child: ChildProcess;
  readonly #first: Promise<[string]>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#first = once(createInterface({ input: this.#child.stdout! }), "line") as Promise<[string]>;
  }

  /** The first line that it prints. */
  async first(): Promise<Record<string, unknown>> {
    const [line] = await this.#first;
    return JSON.parse(line);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, "exit");
    process.kill(this.#child.pid!, "SIGTERM");
    await exit;
  }
}
