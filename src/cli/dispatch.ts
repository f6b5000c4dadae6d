/**
 * citty runs the commands: it finds the one that the words name, tells its arguments from the values of its flags,
 * notices a missing argument, and calls the command. The mistakes that it lets pass are in check_arguments.ts.
 *
 * citty is called twice. It parses the arguments of a command before it calls anything of that command, so that in one
 * call a missing argument would come before `--help` and hide a misspelled flag. The first call therefore stops at the
 * command (`resolveSubCommand`, which citty does not export, would do the same), and the second one runs it.
 */
import { defineCommand, runCommand, type SubCommandsDef } from "citty";
import { didYouMean, type GivenFlags, UsageError } from "../config/mod.ts";
import { flagTypes, hasLeadingFlags, leadingFlagError } from "./check_arguments.ts";
import { argumentNames, type Command, type CommandCall, type Program } from "./command.ts";

export interface FoundCommand {
  readonly command: Command;
  /** The arguments behind the command's words. */
  readonly rest: readonly string[];
}

/** The command whose words `args` begin with; null where there is none. */
export async function findCommand(program: Program, args: readonly string[]): Promise<FoundCommand | null> {
  let found: FoundCommand | null = null;
  const subCommands = commandTree(program.commands, 0, (command, rest) => {
    if (!hasLeadingFlags(args, command, rest)) found = { command, rest };
  });
  try {
    await runCommand(defineCommand({ meta: { name: program.name }, subCommands }), { rawArgs: [...args] });
  } catch (error) {
    // The words name no command (E_NO_COMMAND, E_UNKNOWN_COMMAND), which may be all right: `edge --version`.
    if (!isCittyError(error)) throw error;
  }
  return found;
}

/** Why `findCommand` found no command in `args`. */
export function noSuchCommand(program: Program, args: readonly string[]): UsageError {
  const names = program.commands.map(({ name }) => name);
  const [word] = args;
  if (word === undefined) return new UsageError(`The command is missing: one of ${names.join(", ")}`);
  if (word.startsWith("-")) return leadingFlagError(word);
  const group = names.filter((name) => name.startsWith(`${word} `));
  if (group.length > 0) {
    const [, second] = args;
    if (second?.startsWith("-") ?? true) {
      return new UsageError(`The command ${word} is one of ${group.join(", ")}`);
    }
    return new UsageError(`Unknown command ${word} ${second}${didYouMean(`${word} ${second}`, group)}`);
  }
  return new UsageError(`Unknown command ${word}${didYouMean(word, names)}`);
}

/**
 * Checks the words behind `help`: none, a command's, or the first of several commands'.
 *
 * @param found what `findCommand` found in them
 * @throws {UsageError} where they are anything else
 */
export function checkSubject(program: Program, words: readonly string[], found: FoundCommand | null): void {
  const [surplus] = found?.rest ?? [];
  if (surplus !== undefined) throw new UsageError(`The argument ${JSON.stringify(surplus)} is one too many`);
  const begin = words.map((word) => `${word} `).join("");
  if (found === null && !program.commands.some(({ name }) => name.startsWith(begin))) {
    throw noSuchCommand(program, words);
  }
}

/**
 * Runs the command that was found, and resolves to its exit code.
 *
 * @param flags those in its arguments
 * @param run is given the arguments under their names
 * @throws {UsageError} where an argument is missing
 */
export async function runFound(
  { command, rest }: FoundCommand,
  flags: GivenFlags,
  run: (positionals: CommandCall["positionals"]) => Promise<number>,
): Promise<number> {
  const names = argumentNames(command, flags);
  const words = names.map((name) => [name, { type: "positional", description: command.positionals[name] }] as const);
  const definition = defineCommand({
    meta: { name: command.name, description: command.summary },
    args: { ...flagTypes(command), ...Object.fromEntries(words) },
    run: ({ args }) => run(Object.fromEntries(names.map((name) => [name, String(args[name])]))),
  });
  try {
    const { result } = await runCommand(definition, { rawArgs: [...rest] });
    return result as number;
  } catch (error) {
    // The one mistake that citty finds in checked arguments. Its message ends with the argument's name.
    if (isCittyError(error)) throw new UsageError(`The argument ${error.message.split(" ").at(-1)} is missing`);
    throw error;
  }
}

/** The commands by their words from `depth` on. `onFound` is called when citty has reached one. */
function commandTree(
  commands: readonly Command[],
  depth: number,
  onFound: (command: Command, rest: readonly string[]) => void,
): SubCommandsDef {
  // citty looks for a word with `in`, and an ordinary object would have a command `constructor`.
  const tree: SubCommandsDef = Object.create(null);
  for (const command of commands) {
    const word = command.name.split(" ")[depth];
    if (word in tree) continue;
    const group = commands.filter(({ name }) => name.split(" ")[depth] === word);
    const isWhole = command.name.split(" ").length === depth + 1;
    tree[word] = isWhole
      ? defineCommand({ run: ({ rawArgs }) => onFound(command, rawArgs) })
      : defineCommand({ subCommands: commandTree(group, depth + 1, onFound) });
  }
  return tree;
}

/** citty does not export the class of its errors. */
function isCittyError(error: unknown): error is Error {
  return error instanceof Error && error.name === "CLIError";
}
