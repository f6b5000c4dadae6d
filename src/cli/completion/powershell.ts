/** Completion in PowerShell. */
import type { Completion } from "../../config/mod.ts";
import type { Program } from "../command.ts";
import { type Level, outlineOf } from "./outline.ts";

/** A script for PowerShell 5.1 or later. Where it offers nothing, PowerShell offers names of files. */
export function powershellCompletion(program: Program): string {
  const { name } = program;
  return `# PowerShell completion for ${name}
Register-ArgumentCompleter -Native -CommandName ${name} -ScriptBlock {
    param($word, $ast, $position)
    $typed = @($ast.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.ToString() })
    $line = ($typed -join ' ') + ' '
    $previous = if ($typed.Count -gt 0) { $typed[-1] } else { '' }
    $offer = [ordered]@{}
${outlineOf(program).map(levelBranch).join(" else")}
    $offer.GetEnumerator() | Where-Object { $_.Key.StartsWith($word) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_.Key, $_.Key, 'ParameterValue', $_.Value)
    }
}
`;
}

function levelBranch({ words, values, next }: Level, index: number): string {
  const indent = index === 0 ? "    " : "";
  const head = words === "" ? "{" : `if ($line.StartsWith(${quote(`${words} `)})) {`;
  const cases = values
    .map(([flag, completion]) => `            ${quote(flag)} { ${reply(completion)}return }\n`).join("");
  const items = next.map(([word, help]) => `        $offer[${quote(word)}] = ${quote(help || word)}\n`).join("");
  return `${indent}${index > 0 ? " " : ""}${head}
${cases === "" ? "" : `        switch ($previous) {\n${cases}        }\n`}${items}    }`;
}

/** Commands that offer a value of this kind. */
function reply(completion: Completion): string {
  if (completion.length === 0 || typeof completion === "string") return "";
  return `${completion.map(quote).join(", ")} | Where-Object { $_.StartsWith($word) }; `;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
