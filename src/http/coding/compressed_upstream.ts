/**
 * Answers of an upstream, compressed where that helps and the visitor takes it (RFC 9110 §8.4). What the upstream has
 * coded already, and what it does not want to be changed, passes as it is.
 */
import { release } from "../../memory/mod.ts";
import { streamOf } from "../body/mod.ts";
import { equalsLower, fieldValue, fieldValues, hasToken, listMembers, parseLength, withoutFields } from "../fields.ts";
import type { Answer, Fields, Handler, RequestHead } from "../message.ts";
import { acceptsGzip } from "./accept_encoding.ts";
import { isCompressible } from "./compressible.ts";
import { gzipBody, MAX_TEXT_BYTES } from "./gzip_body.ts";
import { gzipWhole } from "./gzip_encoder.ts";

/** A smaller body fits in the packet of its head. */
const MIN_BYTES = 1024;

/** Without a body, or a part of one: its bytes are counted in the form that the upstream has. */
const unchangedStatuses: ReadonlySet<number> = new Set([204, 205, 206, 304]);

/** Say what the bytes are, which are others then (RFC 9530, RFC 3230, RFC 1864). */
const digestFields = ["content-digest", "repr-digest", "digest", "content-md5"] as const;
const digestNames: ReadonlySet<string> = new Set(digestFields);

/**
 * `upstream`, whose answers are coded with gzip where the visitor accepts it: of text, JSON, NDJSON, event streams, XML,
 * JavaScript and SVG, of 1 KiB or more, or of unknown length. Not coded are answers with a coding, a digest or
 * `no-transform`, those to a request for a range, and those without a body. HEAD is told the fields of GET. Each chunk can be decoded when it
 * was written, and the body is read as the visitor reads.
 */
export function compressedUpstream(upstream: Handler): Handler {
  return (head, body, signal) => upstream(head, body, signal).then((answer) => compressedAnswer(head, answer));
}

function compressedAnswer(head: RequestHead, answer: Answer): Answer {
  if (answer.status === 304) return withKnownTag(head, answer);
  if (!isWorthIt(answer)) return answer;
  const { body, trailers } = answer;
  if (!isWanted(head)) return { ...answer, fields: varying(answer.fields) };
  // The fields are those of GET (RFC 9110 §9.3.2), and nobody knows its Content-Length.
  if (head.method === "HEAD") return { ...answer, fields: codedFields(answer.fields, null) };
  if (body === null) return { ...answer, fields: varying(answer.fields) };
  const coded = codedBody(body);
  return {
    ...answer,
    fields: codedFields(answer.fields, coded),
    body: coded,
    trailers: trailers === undefined ? undefined : () => withoutFields(trailers(), digestNames),
  };
}

/** What the visitor asks for. */
function isWanted({ fields }: RequestHead): boolean {
  if (fieldValue(fields, "range") !== undefined) return false;
  const accepted = fieldValues(fields, "accept-encoding");
  return acceptsGzip(accepted.length === 0 ? undefined : accepted.join(", "));
}

/** True where another visitor may get another form of this answer. */
function isWorthIt({ status, fields, body, upgrade }: Answer): boolean {
  if (status < 200 || unchangedStatuses.has(status) || upgrade !== undefined) return false;
  if (!isCompressible(fieldValue(fields, "content-type"))) return false;
  if (fieldValue(fields, "content-encoding") !== undefined) return false;
  if (hasToken(fields, "cache-control", "no-transform")) return false;
  if (digestFields.some((name) => fieldValue(fields, name) !== undefined)) return false;
  if (body instanceof Uint8Array) return body.length >= MIN_BYTES;
  const length = fieldValue(fields, "content-length");
  return length === undefined || parseLength(length) >= MIN_BYTES;
}

function codedBody(body: Uint8Array | ReadableStream<Uint8Array>): Uint8Array | ReadableStream<Uint8Array> {
  if (body instanceof ReadableStream) return gzipBody(body);
  if (body.length > MAX_TEXT_BYTES) return gzipBody(streamOf(body));
  const coded = gzipWhole(body);
  release(body);
  return coded;
}

/**
 * Parts of the coded form cannot be had, and it is the same as that of the upstream only in what it means: a strong ETag
 * becomes a weak one (RFC 9110 §8.8.3.3).
 */
function codedFields(fields: Fields, body: Uint8Array | ReadableStream<Uint8Array> | null): Fields {
  const coded: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const [name, value] = [fields[index]!, fields[index + 1]!];
    if (equalsLower(name, "content-length") || equalsLower(name, "accept-ranges")) continue;
    coded.push(name, equalsLower(name, "etag") ? weak(value) : value);
  }
  coded.push("Content-Encoding", "gzip");
  if (body instanceof Uint8Array) coded.push("Content-Length", String(body.length));
  return varying(coded);
}

/** Caches must keep the forms of an answer apart (RFC 9110 §12.5.5). */
function varying(fields: Fields): Fields {
  if (hasToken(fields, "vary", "accept-encoding") || hasToken(fields, "vary", "*")) return fields;
  return [...fields, "Vary", "Accept-Encoding"];
}

function weak(tag: string): string {
  return tag.startsWith("W/") ? tag : `W/${tag}`;
}

/** A visitor that holds the coded form asked with its weak ETag, and is told that this one is still good. */
function withKnownTag(head: RequestHead, answer: Answer): Answer {
  const tag = fieldValue(answer.fields, "etag");
  if (tag === undefined || weak(tag) === tag) return answer;
  if (!fieldValues(head.fields, "if-none-match").flatMap(listMembers).includes(weak(tag))) return answer;
  const fields = answer.fields.map((text, index) =>
    index % 2 === 1 && equalsLower(answer.fields[index - 1]!, "etag") ? weak(text) : text
  );
  return { ...answer, fields: varying(fields) };
}
