/** The pages of the documentation, and what stands in them: fences, indented blocks, commands, inline code. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced block: its info string is `language` and, behind a space, `marker`. */
export interface Fence {
  readonly language: string;
  /** Empty where the info string is one word. */
  readonly marker: string;
  readonly lines: readonly string[];
  /** Of the opening line, from 1. */
  readonly lineNumber: number;
}

export interface Page {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  readonly fences: readonly Fence[];
  /** The lines outside fences. */
  readonly prose: readonly string[];
}

/** The README of the npm package. There it stands beside docs/, and its links lead from there. */
export const packageReadme = "scripts/npm/README.md";

/** README.md, CONTRIBUTING.md, SECURITY.md, the npm package's README and docs/*.md. */
export function readPages(): Page[] {
  const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`);
  return ["README.md", "CONTRIBUTING.md", "SECURITY.md", packageReadme, ...docs.sort()].map(readPage);
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(root, path), "utf8"));
}

/** @throws where a fence is not closed */
export function parsePage(path: string, text: string): Page {
  const fences: Fence[] = [];
  const prose: string[] = [];
  let open: { language: string; marker: string; lines: string[]; lineNumber: number } | null = null;
  text.split("\n").forEach((line, index) => {
    const info = /^\s*```(.*)$/.exec(line)?.[1];
    if (info === undefined) (open?.lines ?? prose).push(line);
    else if (open === null) {
      const [language = "", ...marker] = info.trim().split(" ");
      open = { language, marker: marker.join(" "), lines: [], lineNumber: index + 1 };
    } else {
      fences.push(open);
      open = null;
    }
  });
  if (open !== null) throw new Error(`${path}: the fence of line ${(open as Fence).lineNumber} is not closed`);
  return { path, text, fences, prose };
}

/** The commands of a shell's block: continued lines are joined, comments (two blanks before them) are left out. */
export function commandsOf({ lines }: Pick<Fence, "lines">): string[] {
  const joined = lines.join("\n").replace(/\\\n\s*/g, "").split("\n");
  return joined.map((line) => line.replace(/(?:^|\s\s+)# .*/, "").trim()).filter((line) => line !== "");
}

/** Lines of the prose that Markdown shows as code because they are indented; those of lists are not. */
export function indentedCode({ prose }: Pick<Page, "prose">): string[] {
  return prose.filter((line, index) => /^ {4}\S/.test(line) && (prose[index - 1] ?? "") === "");
}

/** What stands between single backticks. */
export function inlineCode({ prose }: Pick<Page, "prose">): string[] {
  return prose.join("\n").match(/(?<!`)`[^`]+`(?!`)/g)?.map((code) => code.slice(1, -1).replace(/\s+/g, " ")) ?? [];
}

/** The cells of each row of the first table whose first column is headed so. */
export function tableRows({ prose }: Pick<Page, "prose">, firstColumn: string): string[][] {
  const isHead = (line: string) => line.startsWith("|") && cellsOf(line)[0] === firstColumn;
  const head = prose.findIndex(isHead);
  if (head < 0) throw new Error(`there is no table whose first column is ${firstColumn}`);
  const rows = prose.slice(head + 2);
  const end = rows.findIndex((line) => !line.startsWith("|"));
  return rows.slice(0, end < 0 ? undefined : end).map(cellsOf);
}

function cellsOf(line: string): string[] {
  return line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim());
}
