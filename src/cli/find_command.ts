/**
 * The commands as a tree of citty's, which walks the words to the command that is meant. What stands behind the words
 * is checked by our own rules (`checkArguments`): citty lets unknown flags pass and keeps the last of a repeated one.
 */
import { type CommandDef, defineCommand, runCommand } from "citty";
import type { Command, Program } from "./program.ts";

export interface FoundCommand {
  readonly command: Command;
  /** The arguments behind the command's words. */
  readonly rest: readonly string[];
}

/** The command whose words `args` begin with; null where there is none. */
export async function findCommand(program: Program, args: readonly string[]): Promise<FoundCommand | null> {
  let found: FoundCommand | null = null;
  const tree = commandTree(program.commands, [], (command, rest) => found ??= { command, rest });
  try {
    await runCommand(defineCommand({ meta: { name: program.name }, subCommands: tree }), { rawArgs: [...args] });
  } catch (error) {
    // E_NO_COMMAND, E_UNKNOWN_COMMAND: the caller says so, with the nearest one.
    if (!(error instanceof Error && "code" in error && String(error.code).startsWith("E_"))) throw error;
  }
  return precededByFlags(found, args) ? null : found;
}

/** Commands whose words begin with `words`, by their next word. `run` is called for the one that was meant. */
function commandTree(
  commands: readonly Command[],
  words: readonly string[],
  run: (command: Command, rest: readonly string[]) => void,
): Record<string, CommandDef> {
  const tree: Record<string, CommandDef> = Object.create(null);
  for (const command of commands) {
    const own = command.name.split(" ");
    const word = own[words.length];
    if (word === undefined || word in tree || words.some((item, index) => own[index] !== item)) continue;
    const path = [...words, word];
    const leaf = commands.find((item) => item.name === path.join(" "));
    const subCommands = commandTree(commands, path, run);
    tree[word] = defineCommand({
      meta: { name: word, ...(leaf === undefined ? {} : { description: leaf.summary }) },
      ...(Object.keys(subCommands).length === 0 ? {} : { subCommands }),
      ...(leaf === undefined ? {} : { run: ({ rawArgs }) => run(leaf, rawArgs) }),
    });
  }
  return tree;
}

/** citty looks for the command behind leading flags, and would drop them. */
function precededByFlags(found: FoundCommand | null, args: readonly string[]): boolean {
  return found !== null && found.command.name.split(" ").length + found.rest.length !== args.length;
}
