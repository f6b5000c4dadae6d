/** Runs a whole program in this process, with arguments, environment, terminal and signals of the test's own. */
import type { Program } from "../../src/cli/command.ts";
import { runProgram } from "../../src/cli/program.ts";
import type { ProgramHost } from "../../src/cli/host.ts";
import type { Terminal } from "../../src/net/mod.ts";

export interface RunOptions {
  environment?: Record<string, string>;
  stdin?: string;
  /** What is behind both outputs. Default: a pipe. */
  terminal?: Terminal;
  home?: string;
}

export type Event = Readonly<Record<string, unknown>>;

const pipe: Terminal = { isTerminal: false, columns: 80, rows: 24 };

/** The log is the process's, and shared by the programs that a test runs together: who wants to see it asks for it. */
const quiet: Record<string, string> = { RUNNEL_LOG_LEVEL: "error" };

/** How long a program may take to come to the point that a test waits for. */
const limitMs = 20_000;

export class ProgramRun {
  /** Resolves to the exit code. */
  readonly exitCode: Promise<number>;
  terminal: Terminal;
  stdout = "";
  stderr = "";
  readonly #handlers = new Map<string, Set<() => void>>();
  readonly #watchers = new Set<() => void>();
  #ended = false;

  constructor(program: Program, args: readonly string[], options: RunOptions = {}) {
    this.terminal = options.terminal ?? pipe;
    const subscribe = (name: string, handler: () => void) => {
      const handlers = this.#handlers.get(name) ?? new Set();
      this.#handlers.set(name, handlers.add(handler));
      return () => void handlers.delete(handler);
    };
    const host: ProgramHost = {
      args,
      environment: (name) => ({ ...quiet, ...options.environment })[name],
      platform: "linux",
      home: options.home ?? "/nowhere",
      isRoot: false,
      stdout: (text) => this.#print(() => this.stdout += text),
      stderr: (text) => this.#print(() => this.stderr += text),
      stdin: async function* () {
        yield options.stdin ?? "";
      },
      flush: () => Promise.resolve(),
      terminal: () => this.terminal,
      onResize: (handler) => subscribe("resize", handler),
      onSignal: subscribe,
    };
    this.exitCode = runProgram(program, host).finally(() => {
      this.#ended = true;
      this.#notify();
    });
  }

  /** What `--json` has printed so far. */
  get events(): Event[] {
    return this.stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** Subscriptions to signals and to the window's size that have not been ended. */
  get subscriptions(): number {
    return [...this.#handlers.values()].reduce((sum, handlers) => sum + handlers.size, 0);
  }

  /** `SIGINT`, `SIGTERM`, or `resize` for the window. */
  signal(name: string): void {
    for (const handler of this.#handlers.get(name) ?? []) handler();
  }

  /** Ends the program as Ctrl-C does, and gives its exit code. */
  stop(): Promise<number> {
    this.signal("SIGINT");
    return this.exitCode;
  }

  /** Resolves to the first truthy value of `look`, tried after everything that is printed. */
  waitFor<T>(look: () => T | undefined | false): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        then();
      };
      const fail = (what: string) => settle(() => reject(new Error(`${what}:\n${this.stdout}\n${this.stderr}`)));
      const watch = () => {
        const value = look();
        if (value) settle(() => resolve(value));
        else if (this.#ended) fail("the program has ended before");
      };
      const timer = setTimeout(() => fail("nothing came in time"), limitMs);
      this.#watchers.add(watch);
      watch();
    });
  }

  /** The first event of this name. */
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
