/** Completion in bash. */
import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { caseBranches } from "./posix.ts";

/** A script for bash 3.2 or later. */
export function bashCompletion(program: Program): string {
  const { name } = program;
  return `# bash completion for ${name}
_${name}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local typed="\${COMP_WORDS[*]:1:COMP_CWORD-1} "
  COMPREPLY=()
  case "$typed" in
${caseBranches(program, reply, (next) => reply(next.map(([word]) => word)))}  esac
}
complete -F _${name} ${name}
`;
}

/** Commands that offer a value of this kind. */
function reply(completion: Completion): string {
  if (completion.length === 0) return "";
  if (typeof completion !== "string") return `COMPREPLY=($(compgen -W "${completion.join(" ")}" -- "$word")); `;
  // Names may hold blanks, so they end with a line feed. From version 4 on bash can be told to quote them.
  const kind = completion === "file" ? "-f" : "-d";
  return `local IFS=$'\\n'; compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen ${kind} -- "$word")); `;
}
