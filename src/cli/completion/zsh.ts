import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { type Level, outlineOf } from "./outline.ts";
import { quote } from "./quote.ts";

/** A script for zsh, to be put into `fpath` or to be sourced. */
export function zshCompletion(program: Program): string {
  const { name } = program;
  return `#compdef ${name}
compdef _${name} ${name}

_${name}() {
  local typed="\${(j: :)words[2,CURRENT-1]} " previous="\${words[CURRENT-1]}"
  local -a items
  case "$typed" in
${outlineOf(program).map(levelCase).join("")}  esac
  _describe ${name} items
}

if [ "\${funcstack[1]}" = "_${name}" ]; then
  _${name} "$@"
fi
`;
}

function levelCase({ words, values, next }: Level): string {
  const cases = values.map(([flag, completion]) => `        ${flag}) ${reply(completion)}return ;;\n`).join("");
  const items = next.map(([word, help]) => `        ${quote(help === "" ? word : `${word}:${help}`)}\n`).join("");
  return `    ${words === "" ? "*" : `"${words} "*`})
${cases === "" ? "" : `      case "$previous" in\n${cases}      esac\n`}      items=(
${items}      )
      ;;
`;
}

function reply(completion: Completion): string {
  if (completion.length === 0) return "";
  if (typeof completion !== "string") return `compadd -- ${completion.join(" ")}; `;
  return completion === "file" ? "_files; " : "_files -/; ";
}
