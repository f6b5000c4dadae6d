/** The two formats of streams of messages: Server-Sent Events (WHATWG HTML §9.2) and NDJSON, written and read. */
export { type SseBlock, sseComment, sseEvent } from "./sse_encode.ts";
