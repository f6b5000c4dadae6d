/** What the scripts for bash and zsh have in common. */
import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { type Level, outlineOf } from "./outline.ts";

/**
 * The branches of `case "$typed" in`, one for each level. The variable `previous` holds the word before the one that is
 * being typed.
 *
 * @param reply the commands that complete the value of a flag, each with a semicolon and a blank behind it
 * @param offer the command that offers what may come next
 */
export function caseBranches(
  program: Program,
  reply: (completion: Completion) => string,
  offer: (next: Level["next"]) => string,
): string {
  return outlineOf(program).map(({ words, values, next }) => {
    const cases = values.map(([flag, completion]) => `        ${flag}) ${reply(completion)}return ;;\n`).join("");
    return `    ${words === "" ? "*" : `"${words} "*`})
${cases === "" ? "" : `      case "$previous" in\n${cases}      esac\n`}      ${offer(next)}
      ;;
`;
  }).join("");
}

/** `text` in single quotes. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
