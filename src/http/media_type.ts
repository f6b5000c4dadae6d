/** Media types, compared as RFC 9110 §8.3.1 says: without parameters and without case. */
import { Memo } from "../base/mod.ts";
import { equalsLower, trimSlice } from "./fields.ts";

/** JSON, one text after the other: lines, and sequences (RFC 7464, RFC 8142). */
export const jsonStreamTypes: readonly string[] = [
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonl",
  "application/jsonlines",
  "application/x-jsonlines",
  "application/json-lines",
  "application/json-seq",
];

/**
 * The types of bodies that are sent as their parts come about, with any silence between two of them. A `*` at the end
 * stands for any letters.
 */
const liveTypes: readonly string[] = [
  // Server-Sent Events (WHATWG HTML §9.2).
  "text/event-stream",
  ...jsonStreamTypes,
  "application/geo+json-seq",
  // Spring's `application/stream+json`.
  "application/stream+*",
  // Messages with a length before each.
  "application/grpc-web*",
  "application/connect+*",
  "application/vnd.amazon.eventstream",
  // What `docker attach` and `docker logs --follow` get without an upgrade.
  "application/vnd.docker.raw-stream",
  "application/vnd.docker.multiplexed-stream",
  // Pictures of cameras, each of which replaces the one before.
  "multipart/x-mixed-replace",
];

/** Media types that are live: the known ones, and others of the user's. */
export class LiveTypes {
  readonly #exact = new Set<string>();
  readonly #prefixes: string[] = [];
  readonly #known = new Memo((contentType) => this.#find(contentType));

  /** @param more further types, such as `application/x-stream` and `application/x-*` */
  constructor(more: readonly string[] = []) {
    for (const type of [...liveTypes, ...more]) {
      if (type.endsWith("*")) this.#prefixes.push(type.slice(0, -1).toLowerCase());
      else this.#exact.add(type.toLowerCase());
    }
  }

  /** True where a body of this Content-Type may be silent for any time: the idle timeout does not hold for it. */
  has(contentType: string | undefined): boolean {
    return contentType !== undefined && this.#known.get(contentType);
  }

  #find(contentType: string): boolean {
    const type = mediaTypeOf(contentType);
    return this.#exact.has(type) || this.#prefixes.some((prefix) => type.startsWith(prefix));
  }
}

const knownLiveTypes = new LiveTypes();

/** True for the types that are live without a user's saying so. */
export function isLiveFormat(contentType: string | undefined): boolean {
  return knownLiveTypes.has(contentType);
}

/** True for `text/event-stream`, with any parameters. */
export function isEventStream(contentType: string | undefined): boolean {
  return hasMediaType(contentType, "text/event-stream");
}

/** True where a Content-Type is `type`, with any parameters. @param type in lower case */
export function hasMediaType(contentType: string | undefined, type: string): boolean {
  return contentType !== undefined && equalsLower(withoutParameters(contentType), type);
}

/** The type alone, in lower case: `text/html` of `Text/HTML; charset=utf-8`. */
export function mediaTypeOf(contentType: string): string {
  return withoutParameters(contentType).toLowerCase();
}

function withoutParameters(contentType: string): string {
  const end = contentType.indexOf(";");
  return trimSlice(contentType, 0, end < 0 ? contentType.length : end);
}
