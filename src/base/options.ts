/** How options of the library are checked and refused. */
import { nameErrorClass, RunnelError } from "./errors.ts";

/** An option has an invalid value. Code `invalid_option`; the reason names the option and the value. */
export class OptionError extends RunnelError {
  static {
    nameErrorClass(this, "OptionError");
  }

  constructor(reason: string) {
    super({ code: "invalid_option", reason, initiator: "user" });
  }
}

/**
 * Returns `value` where it is a whole number from `min` to `max`.
 *
 * @param name of the option
 * @throws {OptionError}
 */
export function checkRange(name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw new OptionError(`The option ${name} is ${value}, not a whole number ${range}`);
}
