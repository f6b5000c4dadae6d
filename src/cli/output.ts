/** What the programs print: on standard output what was asked for, as lines for people or, with `--json`, as JSON. */
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
  const print = (fields: EventFields, lines: readonly string[]) => {
    if (json) host.stdout(JSON.stringify(fields) + "\n");
    else if (lines.length > 0) host.stdout(lines.map(printable).join("\n") + "\n");
  };
  return {
    json,
    event: (name, fields, ...lines) => print({ event: name, time: new Date().toISOString(), ...fields }, lines),
    result: (fields, ...lines) => print(fields, lines),
  };
}
