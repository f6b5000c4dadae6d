import { RunnelError } from "../base/mod.ts";

/** The program was called wrongly: exit code 2. */
export class UsageError extends RunnelError {
  /** What to do instead, as a sentence without full stop; null where `--help` says it best. */
  readonly remedy: string | null;

  constructor(reason: string, remedy: string | null = null) {
    super({ code: "usage", reason, initiator: "user" });
    this.remedy = remedy;
  }
}
