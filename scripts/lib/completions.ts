/** Prints the completion scripts of both programs as one JSON object, `{ PROGRAM: { SHELL: SCRIPT } }`. */
import { agentProgram, edgeProgram } from "../../src/cli/mod.ts";
import { bashCompletion } from "../../src/cli/completion/bash.ts";
import { fishCompletion } from "../../src/cli/completion/fish.ts";
import { powershellCompletion } from "../../src/cli/completion/powershell.ts";
import { zshCompletion } from "../../src/cli/completion/zsh.ts";

const scripts = [agentProgram, edgeProgram].map((program) => [program.name, {
  bash: bashCompletion(program),
  zsh: zshCompletion(program),
  fish: fishCompletion(program),
  powershell: powershellCompletion(program),
}]);
console.log(JSON.stringify(Object.fromEntries(scripts)));
