/**
 * ETags, If-Match and If-None-Match (RFC 9110 §8.8.3, §13.1): with them a script changes a record only as it has seen
 * it. An ETag begins with the epoch of the store, so that none from before a restored backup fits.
 */
import type { Context } from "hono";
import { ControlError } from "../control/mod.ts";
import { type Kind, StoreError } from "../store/mod.ts";
import { Refusal } from "./problems.ts";

/** @param variant what the answer depends on beside the record itself */
export function etagOf(epoch: string, revision: number, variant = ""): string {
  return `"${epoch}-${revision}${variant === "" ? "" : `-${variant}`}"`;
}

/**
 * Makes a change where the request's conditions hold.
 *
 * @param kind of the record that they are about
 * @param etag of the record as it is now; null where there is none
 * @throws {Refusal} `precondition_failed`, `bad_request`
 */
export async function changeIf<T>(c: Context, kind: Kind, etag: string | null, change: () => Promise<T>): Promise<T> {
  const ifMatch = c.req.header("if-match");
  const ifNoneMatch = c.req.header("if-none-match");
  if (ifMatch !== undefined && !isListed(ifMatch, etag, "If-Match")) throw changed();
  if (ifNoneMatch !== undefined && isListed(ifNoneMatch, etag, "If-None-Match")) throw changed();
  try {
    return await change();
  } catch (error) {
    // Another program was faster. What it has done to other records is no matter of the conditions.
    const cause = error instanceof ControlError && error.code === "conflict" ? error.cause : null;
    const isConflict = cause instanceof StoreError && cause.code === "conflict" && cause.subject?.kind === kind;
    throw isConflict && (ifMatch ?? ifNoneMatch) !== undefined ? changed() : error;
  }
}

/** True where the client has this answer already: it is then told 304, without a body. @throws {Refusal} */
export function isKnown(c: Context, etag: string): boolean {
  const ifNoneMatch = c.req.header("if-none-match");
  return ifNoneMatch !== undefined && isListed(ifNoneMatch, etag, "If-None-Match");
}

/** True where the field names `etag`. If-Match never fits a weak ETag, and here none is weak. */
function isListed(field: string, etag: string | null, name: "If-Match" | "If-None-Match"): boolean {
  if (field.trim() === "*") return etag !== null;
  const tags = field.split(",").map((tag) => tag.trim());
  // Commas may stand in an ETag (RFC 9110 §8.8.3), but not in one of ours.
  if (!tags.every((tag) => /^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(tag))) {
    throw new Refusal("bad_request", `${name} must be *, or ETags such as "abc-1" with their quotes`);
  }
  return etag !== null && tags.some((tag) => tag === etag || (name === "If-None-Match" && tag === `W/${etag}`));
}

function changed(): Refusal {
  return new Refusal("precondition_failed", "The record is not as the request expects: read it again");
}
