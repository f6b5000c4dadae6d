/**
 * Logs, by LogTape. Never tokens, cookies or query strings: who logs a request logs its path.
 */
import { configure, getLogger, getTextFormatter, jsonLinesFormatter, type Logger, type Sink } from "@logtape/logtape";

export interface LogOptions {
  level: "error" | "warn" | "info" | "debug";
  format: "text" | "json";
  /** Takes one line, with its line feed: standard error. */
  write(line: string): void;
}

const text = getTextFormatter({ timestamp: "rfc3339", level: "full", category: "." });

/** Sets up the log of the whole process; a later call replaces the earlier one. */
export async function configureLog({ level, format, write }: LogOptions): Promise<void> {
  const formatter = format === "json" ? jsonLinesFormatter : text;
  const sink: Sink = (record) => write(formatter(record));
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

/** The logger of one part: `edge`, `agent`. */
export function logger(part: string): Logger {
  return getLogger(["runnel", part]);
}
