/** The process: arguments, environment, signals, terminal and standard streams, by `node:process` on all runtimes. */
import process from "node:process";
import { afterTickEnd, type TickListener } from "../base/mod.ts";

/** The arguments of the command line, without the program's name. */
export function programArguments(): readonly string[] {
  return process.argv.slice(2);
}

/** A variable of the environment. It is read at the call, so that tests can set it. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name];
}

/** Ends the process at once. Pending output may be lost: call `flushOutput()` before. */
export function exit(code: number): never {
  process.exit(code);
}

/** SIGTERM and SIGINT ask the program to end, SIGHUP to read its files again. */
export type SignalName = "SIGINT" | "SIGTERM" | "SIGHUP";

/**
 * Calls `handler` at each signal `name`. The returned function ends that. Without a handler a signal ends the process.
 */
export function onSignal(name: SignalName, handler: () => void): () => void {
  // A closure for each call, so that the same handler can be registered twice.
  const listener = () => handler();
  process.on(name, listener);
  return () => void process.off(name, listener);
}

export interface Terminal {
  /** True where the output is shown to a person: colors and a line that changes can be used. */
  readonly isTerminal: boolean;
  /** Columns; 80 where they are unknown. */
  readonly columns: number;
  /** Rows; 24 where they are unknown. */
  readonly rows: number;
}

/** The terminal of standard output or standard error now: its size changes with the window. */
export function terminalOf(stream: "stdout" | "stderr"): Terminal {
  const { isTTY, columns, rows } = process[stream];
  return { isTerminal: isTTY === true, columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** Calls `handler` whenever the terminal of standard output has another size. The returned function ends that. */
export function onResize(handler: () => void): () => void {
  const listener = () => handler();
  process.stdout.on("resize", listener);
  return () => void process.stdout.off("resize", listener);
}

/** True where the program runs as root. Never on Windows, which has no such account. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Standard output or standard error. What is written in one event-loop tick is sent in one piece at the tick's end,
 * after the sockets have sent theirs: such a write takes longer than one to a socket.
 */
class TextOutput implements TickListener {
  readonly #stream: "stdout" | "stderr";
  #gathered = "";
  #hasErrorListener = false;
  #hasReader = true;

  constructor(stream: "stdout" | "stderr") {
    this.#stream = stream;
  }

  write(text: string): boolean {
    if (this.#gathered === "") afterTickEnd(this);
    this.#gathered += text;
    return !process[this.#stream].writableNeedDrain;
  }

  /** False once a write has found that nobody reads any more. */
  get hasReader(): boolean {
    return this.#hasReader;
  }

  onTickEnd(): void {
    this.flush();
  }

  /** @param onWritten called once everything has been written */
  flush(onWritten?: () => void): void {
    const output = process[this.#stream];
    // Without a listener, the process would end when the reader of its output does.
    if (!this.#hasErrorListener) output.on("error", () => void (this.#hasReader = false));
    this.#hasErrorListener = true;
    const text = this.#gathered;
    this.#gathered = "";
    if (text !== "" || onWritten !== undefined) output.write(text, () => onWritten?.());
  }
}

const outputs = { stdout: new TextOutput("stdout"), stderr: new TextOutput("stderr") };

/**
 * Writes text to standard output or standard error. Returns false while a slow reader makes text wait in memory. Where
 * the reader is gone, the text is lost and the program goes on: a tunnel must not end with the reader of its log.
 */
export function writeText(stream: "stdout" | "stderr", text: string): boolean {
  return outputs[stream].write(text);
}

/** Resolves when everything that was written to standard output and standard error has left the process. */
export async function flushOutput(): Promise<void> {
  await Promise.all([outputs.stdout, outputs.stderr].map((output) => new Promise<void>((done) => output.flush(done))));
}

/** False once a write to standard output has found that nobody reads it any more. */
export function hasOutputReader(): boolean {
  return outputs.stdout.hasReader;
}

/** Standard input as it arrives, in pieces of text. */
export function inputText(): AsyncIterable<string> {
  return process.stdin.setEncoding("utf8");
}

/** Of a hidden line. Further ones are dropped. */
const MAX_HIDDEN_CHARACTERS = 16_384;
/** What keys such as the arrows send, and the marks that a terminal sets around pasted text. */
// deno-lint-ignore no-control-regex -- escape sequences are what is meant
const ESCAPE_SEQUENCES = /\x1b(?:\[[0-9;?]*[ -\/]*[@-~]|.)/g;

/**
 * Asks for a line on the terminal, which does not show what is typed. Null where standard input is no terminal. Ctrl-C
 * ends the process, as it does without a question.
 */
export function askHidden(question: string): Promise<string | null> {
  const { stdin } = process;
  if (stdin.isTTY !== true) return Promise.resolve(null);
  return new Promise((resolve) => {
    let line = "";
    const finish = () => {
      for (const end of subscriptions) end();
      stdin.off("data", onData);
      stdin.off("end", onEnd);
      stdin.setRawMode(false);
      stdin.pause();
      process.stderr.write("\n");
    };
    const leave = (code: number) => {
      finish();
      exit(code);
    };
    const onEnd = () => {
      finish();
      resolve(line);
    };
    const onData = (text: string) => {
      for (const character of text.replace(ESCAPE_SEQUENCES, "")) {
        if (character === CTRL_C) return leave(128 + 2);
        if (character === "\r" || character === "\n" || character === CTRL_D) return onEnd();
        if (character === BACKSPACE || character === DELETE) line = line.slice(0, -1);
        else if (character === CTRL_U) line = "";
        else if (character >= " " && line.length < MAX_HIDDEN_CHARACTERS) line += character;
      }
    };
    // The shell would find a terminal that shows nothing.
    const subscriptions = [onSignal("SIGTERM", () => leave(128 + 15)), onSignal("SIGHUP", () => leave(128 + 1))];
    stdin.setRawMode(true);
    stdin.setEncoding("utf8").on("data", onData).on("end", onEnd).resume();
    // Asked only now: what is typed before would be shown.
    process.stderr.write(question);
  });
}

const CTRL_C = "\x03";
const CTRL_D = "\x04";
const CTRL_U = "\x15";
const BACKSPACE = "\b";
const DELETE = "\x7f";

/** `linux-x64`, `darwin-arm64`, `win32-x64`. */
export const platformName = `${process.platform}-${process.arch}`;

/** The number that the system has given the process. */
export function processId(): number {
  return process.pid;
}

/** What the process takes of the machine. */
export interface ProcessFacts {
  /** Processor time, user and system. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Since 1970. */
  readonly startedAtSeconds: number;
}

export function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  const startedAtSeconds = performance.timeOrigin / 1_000;
  return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage().rss, startedAtSeconds };
}

/**
 * Prevents the process from ending by itself until the returned function is called. The timers of a `Clock` do not. To be
 * called by what has work to do without an open socket: a program that serves, an agent between two attempts.
 */
export function holdProcess(): () => void {
  const handle = setInterval(() => {}, 2 ** 30);
  return () => clearInterval(handle);
}
