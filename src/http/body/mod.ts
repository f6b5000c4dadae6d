/** Bodies of messages: how they arrive (source), leave (pump), are canceled, observed and collected. */
export { cancelBody } from "./cancel.ts";
export { collectBody, CollectBudget } from "./collect.ts";
export { type BodyObserver, observeBody } from "./observe_body.ts";
export { BodyLengthError, BodyPump, type BodySink } from "./pump.ts";
export { type SplitBody, splitBody } from "./split.ts";
export { type BodyOwner, BodySource, streamOf } from "./source.ts";
