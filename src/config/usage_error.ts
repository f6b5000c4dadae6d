/** The error of a program that is called wrongly. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

/** The program was called wrongly, or its settings are wrong. Code `usage`, exit code 2. */
export class UsageError extends RunnelError {
  static {
    nameErrorClass(this, "UsageError");
  }

  /** What to do instead, as a sentence without full stop; null where `--help` tells it. */
  readonly remedy: string | null;

  constructor(reason: string, remedy: string | null = null) {
    super({ code: "usage", reason, initiator: "user" });
    this.remedy = remedy;
  }
}

/** Calls `parse` for a value of the command line. Where it throws another `RunnelError`, a `UsageError` is thrown. */
export function asUsageError<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof RunnelError) || error instanceof UsageError) throw error;
    throw new UsageError(withoutPassword(error.reason));
  }
}

/** Removes user name and password from URLs in `text`, so that a message does not show them. */
export function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/\s]*@/g, "//");
}
