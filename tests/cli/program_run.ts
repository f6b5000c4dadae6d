/** Runs a whole program in the process of the test, which gives it arguments, environment, terminal and signals. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Program } from "../../src/cli/command.ts";
import { runProgram } from "../../src/cli/program.ts";
import type { ProgramHost } from "../../src/cli/host.ts";
import type { Terminal } from "../../src/net/mod.ts";

export interface RunOptions {
  environment?: Record<string, string>;
  stdin?: string;
  /** What is typed on the terminal of standard input. Default: it is none. */
  typed?: string;
  /** Behind standard output and standard error. Default: a pipe. */
  terminal?: Terminal;
  home?: string;
}

export type Event = Readonly<Record<string, unknown>>;

const pipe: Terminal = { isTerminal: false, columns: 80, rows: 24 };

/** Programs that a test runs together share the log of the process, so only errors are logged by default. */
const usual: Record<string, string> = {
  RUNNEL_LOG_LEVEL: "error",
  LANG: "C.UTF-8",
  // Two edges of two tests would want the same port.
  RUNNEL_ADMIN_LISTEN: "off",
};

let home: string | null = null;

/** One for all programs of this process. */
function emptyHome(): string {
  if (home !== null) return home;
  const folder = home = mkdtempSync(join(tmpdir(), "runnel-home-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The longest that `waitFor` waits. */
const TIMEOUT_MS = 20_000;

export class ProgramRun {
  /** Resolves to the exit code. */
  readonly exitCode: Promise<number>;
  terminal: Terminal;
  stdout = "";
  stderr = "";
  readonly #handlers = new Map<string, Set<() => void>>();
  readonly #watchers = new Set<() => void>();
  #isEnded = false;

  constructor(program: Program, args: readonly string[], options: RunOptions = {}) {
    this.terminal = options.terminal ?? pipe;
    const subscribe = (name: string, handler: () => void) => {
      const handlers = this.#handlers.get(name) ?? new Set();
      this.#handlers.set(name, handlers.add(handler));
      return () => void handlers.delete(handler);
    };
    const host: ProgramHost = {
      args,
      environment: (name) => ({ ...usual, ...options.environment })[name],
      platform: "linux",
      home: options.home ?? emptyHome(),
      isRoot: false,
      hasReader: true,
      stdout: (text) => this.#print(() => this.stdout += text),
      stderr: (text) => this.#print(() => this.stderr += text),
      stdin: async function* () {
        yield options.stdin ?? "";
      },
      askHidden: (question) => {
        if (options.typed !== undefined) this.#print(() => this.stderr += question);
        return Promise.resolve(options.typed ?? null);
      },
      flush: () => Promise.resolve(),
      terminal: () => this.terminal,
      onResize: (handler) => subscribe("resize", handler),
      onSignal: subscribe,
    };
    this.exitCode = runProgram(program, host).finally(() => {
      this.#isEnded = true;
      this.#notify();
    });
  }

  /** The events that were printed so far, with `--json`. */
  get events(): Event[] {
    return this.stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** How many subscriptions to signals and to the size of the window have not been ended. */
  get subscriptions(): number {
    return [...this.#handlers.values()].reduce((sum, handlers) => sum + handlers.size, 0);
  }

  /** @param name `SIGINT` or `SIGTERM`, or `resize` for another size of the window */
  signal(name: string): void {
    for (const handler of this.#handlers.get(name) ?? []) handler();
  }

  /** Ends the program as Ctrl-C does. Resolves to the exit code. */
  stop(): Promise<number> {
    this.signal("SIGINT");
    return this.exitCode;
  }

  /** Resolves to the first truthy value of `look`, which is called after everything that is printed. */
  waitFor<T>(look: () => T | undefined | false): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (then: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        then();
      };
      const fail = (what: string) => finish(() => reject(new Error(`${what}:\n${this.stdout}\n${this.stderr}`)));
      const watch = () => {
        const value = look();
        if (value) finish(() => resolve(value));
        else if (this.#isEnded) fail("the program has ended before");
      };
      const timer = setTimeout(() => fail("nothing came in time"), TIMEOUT_MS);
      this.#watchers.add(watch);
      watch();
    });
  }

  /** Resolves to the first event of this name. */
  event(name: string): Promise<Event> {
    return this.waitFor(() => this.events.find((item) => item.event === name));
  }

  #print(append: () => void): boolean {
    append();
    this.#notify();
    return true;
  }

  #notify(): void {
    for (const watch of [...this.#watchers]) watch();
  }
}

/** What a program has printed, and its exit code. */
export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: Event[];
}

/** Runs a program that ends by itself. */
export async function runToEnd(program: Program, args: readonly string[], options?: RunOptions): Promise<Result> {
  const run = new ProgramRun(program, args, options);
  const exitCode = await run.exitCode;
  const { stdout, stderr } = run;
  return {
    exitCode,
    stdout,
    stderr,
    get events() {
      return run.events;
    },
  };
}

/** The same text without escape sequences. */
export function withoutEscapes(text: string): string {
  // deno-lint-ignore no-control-regex -- escape sequences are what is taken out
  return text.replace(/\x1b\[[0-9;]*[A-Za-z]/g, "");
}
