/** What `--help` prints, made of the declarations of commands and options. */
import { environmentName, flagUsage, type OptionSpec } from "../config/mod.ts";
import { type Command, type Program, usageLine } from "./command.ts";
import type { ProgramHost } from "./host.ts";

/** The width of a table's first column, with the indent before it and the gap after it. */
const FIRST_COLUMN_WIDTH = 26;
/** The least width of a table's second column, however narrow the terminal is. */
const LEAST_COLUMN_WIDTH = 20;
const MAX_WIDTH = 100;

/** An entry of a table: what stands in the first column, and the paragraphs in the second. */
type Entry = readonly [subject: string, ...paragraphs: string[]];

/** The flags that every command has besides its options. */
const builtInFlags: readonly Entry[] = [["--help, -h", "prints this"], ["--version, -v", "prints the version"]];

export function programUsage(program: Program, host: ProgramHost): string {
  const width = widthOf(host);
  return sections(
    [program.summary],
    [`Usage: ${program.name} COMMAND [OPTIONS]`],
    ["Commands", ...table(program.commands.map(({ name, summary }) => [name, summary]), width)],
    ["Options", ...table(builtInFlags, width)],
    [`'${program.name} COMMAND --help' or '${program.name} help COMMAND' tells more about a command.`],
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
    ["Options", ...table([...Object.values(command.options).map(optionEntry), ...builtInFlags], width)],
    wrap(sources, width),
    ["Examples", ...command.examples.map((example) => `  ${example}`)],
  );
}

function optionEntry(spec: OptionSpec): Entry {
  const fallback = spec.default === undefined ? "" : ` default ${spec.default}`;
  return [flagUsage(spec), spec.help, `[${environmentName(spec.name)}]${fallback}`];
}

function table(entries: readonly Entry[], width: number): string[] {
  return entries.flatMap(([subject, ...paragraphs]) => {
    const lines = paragraphs.flatMap((paragraph) => wrap(paragraph, width - FIRST_COLUMN_WIDTH));
    const begin = `  ${subject}`;
    // A subject that leaves no gap gets a line of its own.
    const head = begin.length > FIRST_COLUMN_WIDTH - 2 ? [begin] : [begin.padEnd(FIRST_COLUMN_WIDTH) + lines.shift()];
    return [...head, ...lines.map((line) => " ".repeat(FIRST_COLUMN_WIDTH) + line)];
  });
}

/** Breaks lines between words. A word longer than the line stays whole, so that it can be copied. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Paragraphs with a blank line between them; those without lines are left out. */
function sections(...parts: readonly (readonly string[])[]): string {
  return parts.filter((lines) => lines.length > 0).map((lines) => lines.join("\n") + "\n").join("\n");
}

/** The width of the text in columns. It has a limit, since long lines are hard to read. */
function widthOf(host: ProgramHost): number {
  const { isTerminal, columns } = host.terminal("stdout");
  return isTerminal ? Math.min(Math.max(columns - 1, FIRST_COLUMN_WIDTH + LEAST_COLUMN_WIDTH), MAX_WIDTH) : MAX_WIDTH;
}
