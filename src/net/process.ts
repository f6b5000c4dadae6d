/** The process, as all runtimes show it by `node:process`. */
import process from "node:process";
import { afterTickEnd, type TickListener } from "../base/mod.ts";

/** The command line's words after the program's name. */
export function programArguments(): readonly string[] {
  return process.argv.slice(2);
}

/** The environment. Values are read at the call, so that a test may set one. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name];
}

/** Ends the process at once; pending output of a pipe may be lost, so write and wait first. */
export function exit(code: number): never {
  process.exit(code);
}

/** SIGTERM and SIGINT ask to finish, SIGHUP to read the files again. */
export type SignalName = "SIGINT" | "SIGTERM" | "SIGHUP";

/**
 * Calls `handler` at each `name` instead of what the system would do; the result of the call ends that. A signal that
 * nobody hears any more ends the process.
 */
export function onSignal(name: SignalName, handler: () => void): () => void {
  // An own closure for each call, so that a handler given twice is called and ended twice.
  const listener = () => handler();
  process.on(name, listener);
  return () => void process.off(name, listener);
}

export interface Terminal {
  /** True where a person looks at it: colours and a changing line are welcome. */
  readonly isTerminal: boolean;
  /** Columns; 80 where it is no terminal or does not tell. */
  readonly columns: number;
  /** Rows; 24 where it is no terminal or does not tell. */
  readonly rows: number;
}

/** What is behind standard output or standard error now (the size changes with the window). */
export function terminalOf(stream: "stdout" | "stderr"): Terminal {
  const { isTTY, columns, rows } = process[stream];
  return { isTerminal: isTTY === true, columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** Calls `handler` whenever the terminal behind standard output has another size; the result of the call ends that. */
export function onResize(handler: () => void): () => void {
  const listener = () => handler();
  process.stdout.on("resize", listener);
  return () => void process.stdout.off("resize", listener);
}

/** The account that runs the program may do anything (root). Never on Windows, which has no such account. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Standard output or standard error. What is written in one event-loop tick leaves in one piece at the tick's end, after
 * the sockets have sent theirs: a write to it takes longer than one to a socket.
 */
class TextOutput implements TickListener {
  readonly #stream: "stdout" | "stderr";
  #gathered = "";
  #isHeard = false;

  constructor(stream: "stdout" | "stderr") {
    this.#stream = stream;
  }

  write(text: string): boolean {
    if (this.#gathered === "") afterTickEnd(this);
    this.#gathered += text;
    return !process[this.#stream].writableNeedDrain;
  }

  onTickEnd(): void {
    this.flush();
  }

  /** @param written called once everything has left */
  flush(written?: () => void): void {
    const output = process[this.#stream];
    // Without a listener, a reader that has gone would end the process.
    if (!this.#isHeard) output.on("error", () => {});
    this.#isHeard = true;
    const text = this.#gathered;
    this.#gathered = "";
    if (text !== "" || written !== undefined) output.write(text, () => written?.());
  }
}

const outputs = { stdout: new TextOutput("stdout"), stderr: new TextOutput("stderr") };

/**
 * Writes text to standard output or standard error; false where a slow reader makes it wait in memory. Where the reader
 * has gone the text is lost, and the program goes on: a tunnel does not end because its log does.
 */
export function writeText(stream: "stdout" | "stderr", text: string): boolean {
  return outputs[stream].write(text);
}

/** Resolves when what was written to standard output and standard error has left the process. */
export async function flushOutput(): Promise<void> {
  await Promise.all([outputs.stdout, outputs.stderr].map((output) => new Promise<void>((done) => output.flush(done))));
}

/** Standard input as it comes, in pieces of text. */
export function inputText(): AsyncIterable<string> {
  return process.stdin.setEncoding("utf8");
}

/** `linux-x64`, `darwin-arm64`, `win32-x64`. */
export const system = `${process.platform}-${process.arch}`;

/** Keeps the process alive until the returned call, whatever else runs. */
export function holdProcess(): () => void {
  const handle = setInterval(() => {}, 2 ** 30);
  return () => clearInterval(handle);
}
