/** The timeouts that an agent asks for its tunnel, and that its edge grants: `{ "firstByte": "90s", "idle": "5m" }`. */
import { timeoutText } from "../config/mod.ts";

/** Keys that are not known yet are left to the caller: refused with `z.strictObject`, dropped with `z.object`. */
export const askedTimeoutsShape = { firstByte: timeoutText.optional(), idle: timeoutText.optional() };

export interface AskedTimeouts {
  /** Until the head of an answer: `90s`, or `off` for no limit. Default: the edge's own. */
  readonly firstByte?: string;
  /** For how long a body may stand still, whether its length is known or not. Default: the edge's own. */
  readonly idle?: string;
}
