/** What a shell can offer at each point of a command line: the one thing that the scripts for four shells are made of. */
import type { Completion } from "../../config/mod.ts";
import type { Command, Program } from "../command.ts";

/** What may follow words that are typed already. */
export interface Level {
  /** The words before, without the program's name: empty, `node`, `node add`. */
  readonly words: string;
  /** Flags that want a value next, and what it may be; empty where the shell cannot know. */
  readonly values: readonly (readonly [flag: string, completion: Completion])[];
  /** Words and flags that may come next, with their help. */
  readonly next: readonly (readonly [word: string, help: string])[];
}

const always = [["--help", "prints the usage"], ["--version", "prints the version"]] as const;

/** Every level of the program, the longest words first: the first one with which a line begins is the right one. */
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
    values: options.filter(({ kind }) => kind !== "switch").map((
      { name, completion = [] },
    ) => [`--${name}`, completion]),
    next: [...commandWords(program, words), ...choices, ...flags, ...always],
  };
}

/** The next words of the commands that begin with `words`. */
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
