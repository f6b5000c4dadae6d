/** Media types, compared as RFC 9110 §8.3.1 says: without parameters and without case. */
import { equalsLower, trimSlice } from "./fields.ts";

function isOfType(contentType: string, lowerType: string): boolean {
  const end = contentType.indexOf(";");
  return equalsLower(trimSlice(contentType, 0, end < 0 ? contentType.length : end), lowerType);
}

/** True for `text/event-stream`, with any parameters. */
export function isEventStream(contentType: string | undefined): boolean {
  return contentType !== undefined && isOfType(contentType, "text/event-stream");
}

/** True for SSE and NDJSON, whose bodies may be silent for any time: the idle timeout does not hold for them. */
export function isLiveFormat(contentType: string | undefined): boolean {
  return contentType !== undefined && (isEventStream(contentType) || isOfType(contentType, "application/x-ndjson"));
}
