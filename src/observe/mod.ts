/** The log of the process, and files of lines. */
export { type LineSink, LineWriter, type LineWriterOptions } from "./line_writer.ts";
export { LogFile } from "./log_file.ts";
export { configureLog, logger, type LogOptions } from "./log.ts";
