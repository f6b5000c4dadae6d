/** Completion in fish. */
import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { type Level, outlineOf } from "./outline.ts";

/** A script for fish 3 or later. */
export function fishCompletion(program: Program): string {
  const { name } = program;
  return `# fish completion for ${name}
function __${name}_offer
    set -l typed (commandline -opc)
    set -l previous $typed[-1]
    switch "$typed[2..-1] "
${outlineOf(program).map(levelCase).join("")}    end
end

complete -c ${name} -f -a '(__${name}_offer)'
`;
}

function levelCase({ words, values, next }: Level): string {
  const cases = values.map(([flag, completion]) => {
    return `                case ${flag}\n${reply(completion)}                    return\n`;
  }).join("");
  const items = next.map(([word, help]) => ` \\\n                ${quote(word)} ${quote(help)}`).join("");
  return `        case ${quote(words === "" ? "*" : `${words} *`)}
${cases === "" ? "" : `            switch $previous\n${cases}            end\n`}            printf '%s\\t%s\\n'${items}
`;
}

/** Commands that offer a value of this kind. */
function reply(completion: Completion): string {
  if (completion.length === 0) return "";
  const call = completion === "file"
    ? "__fish_complete_path (commandline -ct)"
    : completion === "folder"
    ? "__fish_complete_directories (commandline -ct)"
    : `printf '%s\\n' ${completion.join(" ")}`;
  return `                    ${call}\n`;
}

/** `text` in single quotes, in which fish takes a backslash before a quote. */
function quote(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
