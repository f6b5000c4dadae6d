/** The two formats of streams of messages: Server-Sent Events (WHATWG HTML §9.2) and NDJSON, written and read. */
export { MessageFormatError } from "./errors.ts";
export { ndjsonLine } from "./ndjson_encode.ts";
export { NdjsonParser, type NdjsonParserOptions } from "./ndjson_parser.ts";
export { type SseBlock, sseComment, sseEvent } from "./sse_encode.ts";
export { DEFAULT_MAX_EVENT_BYTES, type SseEvent, SseParser, type SseParserOptions } from "./sse_parser.ts";
