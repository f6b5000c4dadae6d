/** What the programs print: results and events on standard output, as lines or with `--json` as JSON; the log on standard error. */
import type { commonOptions, OptionValues } from "../config/mod.ts";
import type { LogOptions } from "../observe/mod.ts";
import type { ProgramHost } from "./host.ts";
import { printable } from "./printable.ts";

/** An event of the contract: `event`, `time` (ISO 8601), and what belongs to it. */
export type EventFields = Readonly<Record<string, unknown>>;

export interface Output {
  readonly json: boolean;
  /** @param lines what a person reads instead; none where a person needs no line */
  event(name: string, fields: EventFields, ...lines: readonly string[]): void;
  /** The result of a command that answers and ends: one object, or its lines. */
  result(fields: EventFields, ...lines: readonly string[]): void;
}

export function createOutput(json: boolean, host: Pick<ProgramHost, "stdout">): Output {
  const printObject = (fields: EventFields) => void host.stdout(JSON.stringify(fields) + "\n");
  const printLines = (lines: readonly string[]) => {
    if (lines.length > 0) host.stdout(lines.map(printable).join("\n") + "\n");
  };
  return {
    json,
    event(name, fields, ...lines) {
      if (json) printObject({ event: name, time: new Date().toISOString(), ...fields });
      else printLines(lines);
    },
    result: (fields, ...lines) => json ? printObject(fields) : printLines(lines),
  };
}

/** Where and how a command logs: to standard error, as its options say. */
export function logOptions(values: OptionValues<typeof commonOptions>, host: Pick<ProgramHost, "stderr">): LogOptions {
  return { level: values.logLevel, format: values.logFormat, write: (line) => void host.stderr(line) };
}
