/** What a program has of the process it runs in. A test passes its own, and runs a whole program in process. */
import { homedir, platform } from "node:os";
import type { Place } from "../config/mod.ts";
import {
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
  stdout(text: string): boolean;
  stderr(text: string): boolean;
  stdin(): AsyncIterable<string>;
  /** Resolves when what was written to standard output has left the process. */
  flush(): Promise<void>;
  terminal(stream: "stdout" | "stderr"): Terminal;
  /** Both give the call that ends the subscription. */
  onResize(handler: () => void): () => void;
  onSignal(name: SignalName, handler: () => void): () => void;
}

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
    flush: flushOutput,
    terminal: terminalOf,
    onResize,
    onSignal,
  };
}

/** Colour is for people at a terminal that has it, and who did not ask to be spared (https://no-color.org). */
export function wantsColour(host: ProgramHost): boolean {
  return canRedraw(host) && (host.environment("NO_COLOR") ?? "") === "";
}

/** True where what was printed can be printed over: a terminal that understands escape sequences. */
export function canRedraw(host: ProgramHost): boolean {
  return host.terminal("stdout").isTerminal && host.environment("TERM") !== "dumb";
}
