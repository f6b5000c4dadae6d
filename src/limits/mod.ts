/** What visitors may take: rates, places and bytes, each by visitor and by tunnel, in bounded memory. */
export { ConnectionLimits, type ConnectionLimitsInit } from "./connection_limits.ts";
export type { Rate } from "./rate.ts";
export type { ShareLimits } from "./share.ts";
export { type Admission, VisitorLimits, type VisitorLimitsInit } from "./visitor_limits.ts";
