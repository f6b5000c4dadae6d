import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { type Level, outlineOf } from "./outline.ts";

/** A script for bash 3.2 or later. */
export function bashCompletion(program: Program): string {
  const { name } = program;
  return `# bash completion for ${name}
_${name}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local typed="\${COMP_WORDS[*]:1:COMP_CWORD-1} "
  COMPREPLY=()
  case "$typed" in
${outlineOf(program).map(levelCase).join("")}  esac
}
complete -F _${name} ${name}
`;
}

function levelCase({ words, values, next }: Level): string {
  const cases = values.map(([flag, completion]) => `        ${flag}) ${reply(completion)}return ;;\n`).join("");
  return `    ${words === "" ? "*" : `"${words} "*`})
${cases === "" ? "" : `      case "$previous" in\n${cases}      esac\n`}      ${reply(next.map(([word]) => word))}
      ;;
`;
}

function reply(completion: Completion): string {
  if (completion.length === 0) return "";
  if (typeof completion !== "string") return `COMPREPLY=($(compgen -W "${completion.join(" ")}" -- "$word")); `;
  // Names hold blanks: only a line feed ends one, and bash (from 4 on) is told to quote them.
  const kind = completion === "file" ? "-f" : "-d";
  return `local IFS=$'\\n'; compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen ${kind} -- "$word")); `;
}
