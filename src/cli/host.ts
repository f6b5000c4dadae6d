/** What a program uses of the process it runs in. Tests pass their own, and run whole programs within their process. */
import { homedir, platform } from "node:os";
import type { Place } from "../config/mod.ts";
import {
  askHidden,
  environmentVariable,
  flushOutput,
  hasOutputReader,
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
  /** False once a write to standard output has found that nobody reads it any more. */
  readonly hasReader: boolean;
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
    // Deno asks for a permission for each of these, so they are read where they are needed.
    get home() {
      return (platform() === "win32" ? "" : environmentVariable("HOME")) || homedir();
    },
    get isRoot() {
      return isRoot();
    },
    get hasReader() {
      return hasOutputReader();
    },
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

/**
 * True where text beyond ASCII can be shown: the locale has UTF-8 (POSIX.1-2024 §8.2: LC_ALL, then LC_CTYPE, then LANG
 * decides). macOS and Windows have UTF-8 where none is set.
 */
export function canUseUnicode({ environment, platform }: Pick<ProgramHost, "environment" | "platform">): boolean {
  const names = ["LC_ALL", "LC_CTYPE", "LANG"];
  const locale = names.map((name) => environment(name) ?? "").find((value) => value !== "");
  if (locale === undefined) return platform === "darwin" || platform === "win32";
  return /utf-?8/i.test(locale);
}

/**
 * `host`, which prints ASCII alone where the locale has no more: other characters as `\uXXXX`, which JSON understands,
 * too.
 */
export function inLocale(host: ProgramHost): ProgramHost {
  if (canUseUnicode(host)) return host;
  return variant(host, {
    stdout: (text) => host.stdout(asciiOf(text)),
    stderr: (text) => host.stderr(asciiOf(text)),
  });
}

function asciiOf(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (char) => {
    return char === "…" ? "..." : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** `host` with other members. The rest is read from `host` when it is asked for. */
export function variant(host: ProgramHost, members: Partial<ProgramHost>): ProgramHost {
  return Object.assign(Object.create(host), members);
}

/** True where standard output is a terminal that understands escape sequences, so that text can be drawn over. */
export function canRedraw(host: ProgramHost): boolean {
  return host.terminal("stdout").isTerminal && host.environment("TERM") !== "dumb";
}
