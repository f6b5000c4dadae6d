/** The two forms of a feed: Server-Sent Events (WHATWG HTML §9.2) and JSON lines. Both carry the same JSON. */
import { acceptQualities } from "../http/mod.ts";
import { ndjsonLine, sseComment, sseEvent } from "../sse/mod.ts";

/** One event: an object in JSON on one line, which names `event` and, where it has one, `eventId`. */
export interface FeedEvent {
  readonly name: string;
  /** Null where a reader's place in the feed stays what it is. */
  readonly id: string | null;
  readonly json: string;
}

export interface FeedFormat {
  readonly contentType: string;
  /** Before everything else, so that a proxy or a client sees that the feed is open. */
  readonly greeting: string;
  textOf(event: FeedEvent): string;
  /** Says that the feed is alive. @param time ISO 8601 */
  keepAlive(time: string): string;
}

const eventStream: FeedFormat = {
  contentType: "text/event-stream",
  greeting: sseComment("connected"),
  textOf: ({ name, id, json }) => sseEvent({ type: name, id: id ?? undefined, data: json }),
  keepAlive: () => sseComment("keepalive"),
};

/** Readers of lines may take no empty one, so that a keep-alive is an object, too. */
function lines(contentType: string): FeedFormat {
  return {
    contentType,
    greeting: "",
    textOf: ({ json }) => ndjsonLine(json),
    keepAlive: (time) => ndjsonLine(JSON.stringify({ event: "keepalive", time })),
  };
}

const formats: readonly FeedFormat[] = [
  eventStream,
  lines("application/x-ndjson"),
  lines("application/ndjson"),
  lines("application/jsonl"),
];

/** The media types of all formats. */
export const feedTypes: readonly string[] = formats.map(({ contentType }) => contentType);

/**
 * The format that `accept` likes best, Server-Sent Events where it likes several as much; null where it takes none.
 *
 * @param accept the field's value; undefined: there is none, and anything is taken
 */
export function feedFormatFor(accept: string | undefined): FeedFormat | null {
  const qualities = accept === undefined || accept.trim() === "" ? [1] : acceptQualities(accept, feedTypes);
  const best = Math.max(...qualities);
  return best > 0 ? formats[qualities.indexOf(best)]! : null;
}
