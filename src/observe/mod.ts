/** The log of the process. */
export { configureLog, logger, type LogOptions } from "./log.ts";
