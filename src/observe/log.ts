/** Logs, by LogTape. Tokens, cookies and query strings are never logged: of a request's target only the path is. */
import { configure, getLogger, getTextFormatter, jsonLinesFormatter, type Logger, type Sink } from "@logtape/logtape";

export interface LogOptions {
  level: "error" | "warn" | "info" | "debug";
  format: "text" | "json";
  /** Writes one line, which ends with a line feed, to standard error. */
  write(line: string): void;
}

const text = getTextFormatter({ timestamp: "rfc3339", level: "full", category: "." });

/** Sets up the log of the whole process. A later call replaces what an earlier one has set. */
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

/** The logger of one part of the process: `edge`, `agent`. */
export function logger(part: string): Logger {
  return getLogger(["runnel", part]);
}
