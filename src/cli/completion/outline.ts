/** What a shell can offer at each point of a command line. The scripts for all shells are made of it. */
import type { Completion } from "../../config/mod.ts";
import type { Command, Program } from "../command.ts";

/** What may follow words that are typed already. */
export interface Level {
  /** The words that are typed, without the program's name: empty, `node`, `node add`. */
  readonly words: string;
  /** The flags that take a value, and what a shell offers for it; an empty list where it offers nothing. */
  readonly values: readonly (readonly [flag: string, completion: Completion])[];
  /** The words and flags that may come next, with their help. */
  readonly next: readonly (readonly [word: string, help: string])[];
}

/** The flags that every command has besides its options. */
const builtInFlags = [["--help", "prints the usage"], ["--version", "prints the version"]] as const;

/** Every level of the program, those of the most words first: the first one that a line begins with is the right one. */
export function outlineOf(program: Program): Level[] {
  const prefixes = new Set([""]);
  for (const { name } of program.commands) {
    const words = name.split(" ");
    words.forEach((_, index) => prefixes.add(words.slice(0, index + 1).join(" ")));
  }
  return [...prefixes].map((words) => levelAt(program, words)).sort((a, b) => b.words.length - a.words.length);
}

function levelAt(program: Program, words: string): Level {
  const command: Command | undefined = program.commands.find(({ name }) => name === words);
  const options = Object.values(command?.options ?? {});
  const choices = Object.values(command?.choices ?? {}).flat().map((choice) => [choice, ""] as const);
  const flags = options.map(({ name, help }) => [`--${name}`, help] as const);
  return {
    words,
    values: options.filter(({ kind }) => kind !== "switch")
      .map(({ name, completion = [] }) => [`--${name}`, completion]),
    next: [...commandWords(program, words), ...choices, ...flags, ...builtInFlags],
  };
}

/** The next words of all commands that begin with `words`, with their help. */
function commandWords(program: Program, words: string): Iterable<readonly [string, string]> {
  const begin = words === "" ? "" : `${words} `;
  const found = new Map<string, string>();
  for (const { name, summary } of program.commands) {
    if (!name.startsWith(begin)) continue;
    const [word, ...rest] = name.slice(begin.length).split(" ") as [string, ...string[]];
    found.set(word, rest.length === 0 ? summary : `${begin}${word} …`);
  }
  return found;
}
