/** The face of `src/observe`. */
export { configureLog, logger, type LogOptions } from "./log.ts";
