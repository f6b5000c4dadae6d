/** Errors of the commands that ask an edge's admin API. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { isProblemCode, problemKinds } from "../http/mod.ts";

/** The admin API refused something, or could not be asked. `code` is that of its problem, or `edge_unreachable`. */
export class AdminError extends RunnelError {
  static {
    nameErrorClass(this, "AdminError");
  }

  /** What a person can do, as a sentence without full stop; null where the code alone decides. */
  readonly remedy: string | null;

  constructor(code: string, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "user", cause });
    this.remedy = remedies[code] ?? (isProblemCode(code) ? problemKinds[code].remedy : null);
  }
}

/** What the commands say in another way than the problems of agents and visitors. */
const remedies: Readonly<Record<string, string>> = {
  unauthorized: "Name the edge's data folder with --data, or give the token in it, admin-token, in RUNNEL_ADMIN_TOKEN",
  edge_unreachable: "Check that edge serve runs, and that --admin names its admin API",
  name_taken: "Choose another name, or remove what has it",
  rollout_incomplete: "Look at edge status and at the agents' logs; the same command goes on where this one ended",
  backup_failed: "Name a file in a folder that can be written and has room",
  bad_name: "Choose another name",
  bad_request: "Correct what the message names",
  tunnel_not_found: "See edge tunnel list",
};
