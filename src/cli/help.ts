/** What `--help` prints, from the one declaration of commands and options. */
import { environmentName, type OptionSpec } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";
import { type Command, type Program, usageLine } from "./command.ts";

/** Of a table's first column, with the indent before it and the gap after it. */
const firstColumn = 26;

/** A line of a table: what it is about, and the paragraphs about it. */
type Entry = readonly [subject: string, ...paragraphs: string[]];

const always: readonly Entry[] = [["--help, -h", "prints this"], ["--version", "prints the version"]];

export function programUsage(program: Program, host: ProgramHost): string {
  const width = widthOf(host);
  return sections(
    [program.summary],
    [`Usage: ${program.name} COMMAND [OPTIONS]`],
    ["Commands", ...table(program.commands.map(({ name, summary }) => [name, summary]), width)],
    ["Options", ...table(always, width)],
    [`'${program.name} COMMAND --help' tells more about a command.`],
  );
}

export function commandUsage(program: Program, command: Command, host: ProgramHost): string {
  const width = widthOf(host);
  const positionals = Object.entries(command.positionals);
  const file = command.settings === undefined ? "" : ", then the settings file";
  const sources = `A flag counts first, then the variable in brackets${file}, then the default.`;
  return sections(
    [command.summary],
    [`Usage: ${usageLine(program, command)}`],
    positionals.length === 0 ? [] : ["Arguments", ...table(positionals, width)],
    ["Options", ...table([...Object.values(command.options).map(optionEntry), ...always], width)],
    wrap(sources, width),
    ["Examples", ...command.examples.map((example) => `  ${example}`)],
  );
}

function optionEntry(spec: OptionSpec): Entry {
  const repeats = spec.kind === "list" ? "; may be repeated" : "";
  const fallback = spec.default === undefined ? "" : ` default ${spec.default}`;
  const subject = `--${spec.name} ${spec.hint}`.trimEnd();
  return [subject, `${spec.help}${repeats}`, `[${environmentName(spec.name)}]${fallback}`];
}

function table(entries: readonly Entry[], width: number): string[] {
  return entries.flatMap(([subject, ...paragraphs]) => {
    const lines = paragraphs.flatMap((paragraph) => wrap(paragraph, width - firstColumn));
    const begin = `  ${subject}`;
    // A subject that leaves no gap has its line for itself.
    const head = begin.length > firstColumn - 2 ? [begin] : [begin.padEnd(firstColumn) + lines.shift()];
    return [...head, ...lines.map((line) => " ".repeat(firstColumn) + line)];
  });
}

/** Breaks between words. A word that is longer than the line stays whole, so that it can be copied. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function sections(...parts: readonly (readonly string[])[]): string {
  return parts.filter((lines) => lines.length > 0).map((lines) => lines.join("\n") + "\n").join("\n");
}

/** In columns: a long line is hard to read, however wide the window is. */
function widthOf(host: ProgramHost): number {
  const { isTerminal, columns } = host.terminal("stdout");
  return isTerminal ? Math.min(Math.max(columns - 1, firstColumn + 20), 100) : 100;
}
