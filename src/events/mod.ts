/** What happens, as a feed that programs listen to. */
export { EXAMPLE_EVENT_ID, formatEventId, parseEventId } from "./event_id.ts";
export { EventFeed, type EventFeedOptions, type EventFields } from "./feed.ts";
export { feedFormatFor, feedTypes } from "./formats.ts";
