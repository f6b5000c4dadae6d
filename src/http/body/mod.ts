/** Bodies of messages: one source, one pump, and what can be done with them. */
export { cancelBody } from "./cancel.ts";
export { collectBody, CollectBudget } from "./collect.ts";
export { BodyLengthError, BodyPump, type BodySink } from "./pump.ts";
export { type BodyOwner, BodySource, streamOf } from "./source.ts";
export { type Tap, tap } from "./tap.ts";
