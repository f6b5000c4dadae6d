/** What a program uses of the process it runs in. Tests pass their own, and run whole programs within their process. */
import { homedir, platform } from "node:os";
import type { Place } from "../config/mod.ts";
import {
  askHidden,
  environmentVariable,
  flushOutput,
  inputText,
  isRoot,
  onResize,
  onSignal,
  programArguments,
  type SignalName,
  type Terminal,
  terminalOf,
  writeText,
} from "../net/mod.ts";

export interface ProgramHost extends Place {
  /** The words after the program's name. */
  readonly args: readonly string[];
  /** Both return false where a slow reader makes the text wait in memory. */
  stdout(text: string): boolean;
  stderr(text: string): boolean;
  stdin(): AsyncIterable<string>;
  /** Asks for a line that the terminal does not show. Null where standard input is no terminal. */
  askHidden(question: string): Promise<string | null>;
  /** Resolves when what was written to standard output has left the process. */
  flush(): Promise<void>;
  terminal(stream: "stdout" | "stderr"): Terminal;
  /** Both return a function that ends the subscription. */
  onResize(handler: () => void): () => void;
  onSignal(name: SignalName, handler: () => void): () => void;
}

/** The process itself. */
export function processHost(): ProgramHost {
  return {
    args: programArguments(),
    environment: environmentVariable,
    platform: platform(),
    home: homedir(),
    isRoot: isRoot(),
    stdout: (text) => writeText("stdout", text),
    stderr: (text) => writeText("stderr", text),
    stdin: inputText,
    askHidden,
    flush: flushOutput,
    terminal: terminalOf,
    onResize,
    onSignal,
  };
}

/** True where colors are used: on a terminal that has them, unless NO_COLOR is set (https://no-color.org). */
export function canUseColor(host: ProgramHost): boolean {
  return canRedraw(host) && (host.environment("NO_COLOR") ?? "") === "";
}

/** True where standard output is a terminal that understands escape sequences, so that text can be drawn over. */
export function canRedraw(host: ProgramHost): boolean {
  return host.terminal("stdout").isTerminal && host.environment("TERM") !== "dumb";
}
