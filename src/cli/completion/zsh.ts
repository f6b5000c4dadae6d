/** Completion in zsh. */
import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import type { Level } from "./outline.ts";
import { caseBranches, quote } from "./posix.ts";

/** A script for zsh, for a folder of `fpath`, or to be sourced. */
export function zshCompletion(program: Program): string {
  const { name } = program;
  return `#compdef ${name}
compdef _${name} ${name}

_${name}() {
  local typed="\${(j: :)words[2,CURRENT-1]} " previous="\${words[CURRENT-1]}"
  local -a items
  case "$typed" in
${caseBranches(program, reply, offer)}  esac
  _describe ${name} items
}

if [ "\${funcstack[1]}" = "_${name}" ]; then
  _${name} "$@"
fi
`;
}

function offer(next: Level["next"]): string {
  const items = next.map(([word, help]) => `        ${quote(help === "" ? word : `${word}:${help}`)}\n`).join("");
  return `items=(\n${items}      )`;
}

/** Commands that offer a value of this kind. */
function reply(completion: Completion): string {
  if (completion.length === 0) return "";
  if (typeof completion !== "string") return `compadd -- ${completion.join(" ")}; `;
  return completion === "file" ? "_files; " : "_files -/; ";
}
