/** Media types, compared as RFC 9110 §8.3.1 says: without parameters and without case. */

function essence(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const end = contentType.indexOf(";");
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** True for `text/event-stream`, with any parameters. */
export function isEventStream(contentType: string | undefined): boolean {
  return contentType !== undefined && contentType.length >= 17 && essence(contentType) === "text/event-stream";
}

/** True for formats that are live for as long as they like: SSE and NDJSON. They know no idle timeout. */
export function isLiveFormat(contentType: string | undefined): boolean {
  const type = essence(contentType);
  return type === "text/event-stream" || type === "application/x-ndjson";
}
