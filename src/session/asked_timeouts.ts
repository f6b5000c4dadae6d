/** The timeouts that an agent asks for its tunnel, and that its edge grants: `{ "firstByte": "90s" }`. */
import { z } from "zod";
import { parseTimeout } from "../config/mod.ts";

const timeout = z.string().max(32).refine((text) => parseTimeout(text) !== null, {
  error: "is neither off nor a duration over 0 such as 90s",
});

/** Keys that are not known yet are left to the caller: refused with `z.strictObject`, dropped with `z.object`. */
export const askedTimeoutsShape = { firstByte: timeout.optional() };

export interface AskedTimeouts {
  /** Until the head of an answer: `90s`, or `off` for no limit. Default: the edge's own. */
  readonly firstByte?: string;
}
