/** `docs/cli.md`, the reference of the command line, made of the declarations of the programs. */
import { environmentName, flagUsage, type OptionSpec } from "../config/mod.ts";
import { type Command, type Program, usageLine } from "./command.ts";
import { exitCodeMeanings } from "./exit_codes.ts";

/** The whole page, in Markdown. */
export function cliPage(programs: readonly Program[]): string {
  const exitCodes = Object.entries(exitCodeMeanings).map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return `# The command line

This page is generated from the programs' own declarations.

${rules.map((rule) => `- ${rule}`).join("\n")}

| Exit code | Meaning |
| --- | --- |
${exitCodes.join("\n")}

${programs.map(describeProgram).join("\n")}`;
}

const rules = [
  "A flag counts before its environment variable, that before the settings file of the agent, that before the default.",
  "Unknown flags, missing values, surplus arguments and repeated flags end the program with exit code 2; only flags " +
  "that say so may be repeated.",
  "Durations have a unit: `500ms`, `30s`, `5m`, `1h`, `90d`. So have sizes: `64KiB`, `4MiB`.",
  "`--listen` takes `HOST:PORT`, `[IPV6]:PORT`, `PORT` (every IPv4 address), `:PORT` or `*:PORT` (every address), and " +
  "`HOST` alone (port 8080). `https://` before it is TLS, and `http://` beside that sends visitors there.",
  "TARGET, `--edge` and `--proxy` take `HOST:PORT`, `[IPV6]:PORT`, and `PORT` or `:PORT` (this machine, as `0.0.0.0:PORT` " +
  "is), each with `http://` or `https://` before it; `HOST` alone has port 80, with `https://` 443. Without a scheme, " +
  "`--edge` is `https://` where it is not this machine, and a TARGET on another machine needs its port. An IPv6 address " +
  "without a port needs no brackets.",
  "Switches are `true` or `false` in a variable and in the settings file; a variable separates the items of a list " +
  "with commas.",
  "`--help` or `-h` prints the usage of a command, `--version` or `-v` the version; `edge help serve` is `edge serve " +
  "--help`. A program without a command prints its commands, and ends with exit code 2.",
  "Where the locale (`LC_ALL`, `LC_CTYPE`, `LANG`) is not UTF-8, only ASCII is printed: other characters as `\\uXXXX`, " +
  "which JSON understands, too.",
  "What was asked for goes to standard output, with `--json` as one JSON object a line; logs go to standard error.",
  "A token on the command line shows in process lists: `--token-file FILE` reads it from a file, `-` from standard " +
  "input.",
  "Color is used on a terminal alone, and not where `NO_COLOR` is set.",
  "The agent's settings file is `$XDG_CONFIG_HOME/runnel/agent.yaml` (`~/.config` where that is not set; on macOS " +
  "`~/Library/Application Support/runnel`, on Windows `%APPDATA%\\runnel`). `agent login` writes it.",
  "The edge's data are in `--data`, else `$STATE_DIRECTORY`, else `/var/lib/runnel` for root, else " +
  "`$XDG_DATA_HOME/runnel` (`~/.local/share` where that is not set; on macOS `~/Library/Application Support/runnel`, " +
  "on Windows `%LOCALAPPDATA%\\runnel`).",
];

/** The part of the page about one program. */
export function describeProgram(program: Program): string {
  const commands = program.commands.map((command) => describeCommand(program, command));
  return `## ${program.name}\n\n${program.summary}. \`${program.name} --version\` prints the version.\n\n${
    commands.join("\n")
  }`;
}

function describeCommand(program: Program, command: Command): string {
  const positionals = Object.entries(command.positionals);
  const hasFile = command.settings !== undefined;
  const head = ["Flag", "Variable", ...(hasFile ? ["Key in the settings file"] : []), "Default", "What it does"];
  const rows = Object.entries(command.options).map(([key, spec]) => optionRow(key, spec, hasFile));
  return [
    `### ${program.name} ${command.name}\n`,
    `${command.summary}.\n`,
    `    ${usageLine(program, command)}\n`,
    ...positionals.map(([name, help]) => `\`${name}\`: ${help}\n`),
    row(head),
    row(head.map(() => "---")),
    ...rows,
    "\nExamples:\n",
    ...command.examples.map((example) => `    ${example}`),
    "",
  ].join("\n");
}

function optionRow(key: string, spec: OptionSpec, hasFile: boolean): string {
  const fallback = spec.default === undefined ? "" : code(spec.default);
  const cells = [code(flagUsage(spec)), code(environmentName(spec.name)), ...(hasFile ? [code(key)] : []), fallback];
  return row([...cells, spec.help]);
}

function code(text: string): string {
  return `\`${text}\``;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
