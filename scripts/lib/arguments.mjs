// @ts-check
/** What the scripts share of reading their arguments: `--help`, and one form of usage error. */
import { parseArgs } from "node:util";

/**
 * Says on standard error what is wrong, and ends with exit code 2.
 * @param {string} script its name without .sh @param {string} message @returns {never}
 */
export function usageError(script, message) {
  console.error(`${script}: ${message} (see --help)`);
  process.exit(2);
}

/**
 * The arguments by `config`, which names an option `help`. Prints `help` and ends where that is given; ends with a
 * usage error where an argument is not one of `config`'s.
 * @template {import("node:util").ParseArgsConfig} const T
 * @param {string} script @param {string} help @param {T} config
 * @returns {ReturnType<typeof parseArgs<T>>}
 */
export function readOptions(script, help, config) {
  let parsed;
  try {
    parsed = parseArgs(config);
  } catch (error) {
    usageError(script, error instanceof Error ? error.message : String(error));
  }
  if (/** @type {Record<string, unknown>} */ (parsed.values).help !== true) return parsed;
  console.log(help);
  process.exit(0);
}
