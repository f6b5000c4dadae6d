/** The one way in which options of the library are refused. */
import { RunnelError } from "./errors.ts";

/** An option has a value that it cannot have. Code `invalid_option`; the reason names option and value. */
export class OptionError extends RunnelError {
  constructor(reason: string) {
    super({ code: "invalid_option", reason, initiator: "user" });
  }
}

/**
 * Returns `value` where it is a whole number from `least` to `most`.
 *
 * @throws {OptionError} naming `name` and the value
 */
export function checkRange(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  throw new OptionError(`${name} is ${value}, not a whole number ${range}`);
}
