/** Logs, by LogTape. Tokens, cookies and query strings are never logged: of a request's target only the path is. */
import {
  configure,
  getLogger,
  getTextFormatter,
  jsonLinesFormatter,
  type Logger,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";
import { printable, printableJson } from "../base/mod.ts";

export interface LogOptions {
  level: "error" | "warn" | "info" | "debug";
  format: "text" | "json";
  /** Writes one line, which ends with a line feed, to standard error. */
  write(line: string): void;
}

const text = getTextFormatter({
  timestamp: "rfc3339",
  level: "full",
  category: ".",
  // Quoted, so that it shows where a value ends; the same on each runtime.
  value: (value, inspect) => typeof value === "string" ? JSON.stringify(value) : inspect(value),
  sanitize: false,
});

/** One record is one line, whatever its values are: this is the only place where they are made printable. */
const formatters: Readonly<Record<LogOptions["format"], (record: LogRecord) => string>> = {
  text: (record) => printable(withoutLineFeed(text(record))),
  json: (record) => printableJson(withoutLineFeed(jsonLinesFormatter(record))),
};

function withoutLineFeed(line: string): string {
  return line.slice(0, -1);
}

/** Sets up the log of the whole process. A later call replaces what an earlier one has set. */
export async function configureLog({ level, format, write }: LogOptions): Promise<void> {
  const formatter = formatters[format];
  const sink: Sink = (record) => write(`${formatter(record)}\n`);
  const lowestLevel = level === "warn" ? "warning" : level;
  await configure({
    reset: true,
    sinks: { sink },
    loggers: [
      { category: "runnel", lowestLevel, sinks: ["sink"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["sink"] },
    ],
  });
}

/** The logger of one part of the process: `edge`, `agent`. */
export function logger(part: string): Logger {
  return getLogger(["runnel", part]);
}
