/** What the programs print: lines or, with `--json`, JSON on standard output, and the log on standard error. */
import { printable, printableJson } from "../base/mod.ts";
import type { commonOptions, OptionValues } from "../config/mod.ts";
import type { LogOptions } from "../observe/mod.ts";
import type { ProgramHost } from "./host.ts";

/** What an event or a result has besides its name and its time, under the keys of its JSON. */
export type EventFields = Readonly<Record<string, unknown>>;

/** Standard output of a command. */
export interface Output {
  /** True with `--json`. */
  readonly isJson: boolean;
  /**
   * With `--json` one object: `event`, `time` (ISO 8601) and the fields. Else the lines.
   *
   * @param lines what a person reads; none where an event is for scripts only
   */
  event(name: string, fields: EventFields, ...lines: readonly string[]): void;
  /** The result of a command that prints and ends: with `--json` one object, else the lines. */
  result(fields: EventFields, ...lines: readonly string[]): void;
}

export function createOutput(isJson: boolean, host: Pick<ProgramHost, "stdout">): Output {
  const printObject = (fields: EventFields) => void host.stdout(printableJson(JSON.stringify(fields)) + "\n");
  const printLines = (lines: readonly string[]) => {
    if (lines.length > 0) host.stdout(lines.map(printable).join("\n") + "\n");
  };
  return {
    isJson,
    event(name, fields, ...lines) {
      if (isJson) printObject({ event: name, time: new Date().toISOString(), ...fields });
      else printLines(lines);
    },
    result: (fields, ...lines) => isJson ? printObject(fields) : printLines(lines),
  };
}

/** Where and how a command logs: to standard error, as its options say. */
export function logOptions(values: OptionValues<typeof commonOptions>, host: Pick<ProgramHost, "stderr">): LogOptions {
  return { level: values.logLevel, format: values.logFormat, write: (line) => void host.stderr(line) };
}
