/** `completion SHELL`: prints the script that teaches a shell the program's commands, flags and values. */
import { commonOptions, nearest, UsageError } from "../config/mod.ts";
import { bashCompletion } from "./completion/bash.ts";
import { fishCompletion } from "./completion/fish.ts";
import { powershellCompletion } from "./completion/powershell.ts";
import { zshCompletion } from "./completion/zsh.ts";
import { ExitCode } from "./exit_codes.ts";
import type { Command, Program } from "./program.ts";

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
    run({ program, positionals: [shell], host }) {
      const script = Object.hasOwn(scripts, shell as string) ? scripts[shell as string] : undefined;
      if (script === undefined) throw unknownShell(shell as string);
      host.stdout(script(program));
      return Promise.resolve(ExitCode.ok);
    },
  };
}

function unknownShell(shell: string): UsageError {
  const near = nearest(shell, shells);
  return new UsageError(
    `The shell ${JSON.stringify(shell)} is none of ${shells.join(", ")}${
      near === null ? "" : `; did you mean ${near}?`
    }`,
  );
}
