/** `completion SHELL`: prints the script by which a shell completes the program's commands, flags and values. */
import { commonOptions, didYouMean, UsageError } from "../config/mod.ts";
import type { Command, Program } from "./command.ts";
import { bashCompletion } from "./completion/bash.ts";
import { fishCompletion } from "./completion/fish.ts";
import { powershellCompletion } from "./completion/powershell.ts";
import { zshCompletion } from "./completion/zsh.ts";
import { ExitCode } from "./exit_codes.ts";

const scripts: Readonly<Record<string, (program: Program) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
  powershell: powershellCompletion,
};

const shells = Object.keys(scripts);

/** @param name the program's, for the examples */
export function completionCommand(name: string): Command<typeof commonOptions> {
  return {
    name: "completion",
    summary: "Print the completion script for a shell",
    options: commonOptions,
    positionals: { SHELL: shells.join(", ") },
    choices: { SHELL: shells },
    examples: [
      `source <(${name} completion bash)`,
      `${name} completion zsh > "\${fpath[1]}/_${name}"`,
      `${name} completion fish > ~/.config/fish/completions/${name}.fish`,
      `${name} completion powershell | Out-String | Invoke-Expression`,
    ],
    run({ program, positionals: { SHELL: shell }, host }) {
      if (!Object.hasOwn(scripts, shell)) throw unknownShell(shell);
      host.stdout(scripts[shell](program));
      return Promise.resolve(ExitCode.ok);
    },
  };
}

function unknownShell(shell: string): UsageError {
  const reason = `The shell ${JSON.stringify(shell)} is none of ${shells.join(", ")}`;
  return new UsageError(`${reason}${didYouMean(shell, shells)}`);
}
