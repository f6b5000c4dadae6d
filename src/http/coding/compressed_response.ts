/** Streams of our own, compressed where the client takes it. */
import { acceptsGzip } from "./accept_encoding.ts";
import { gzipBody } from "./gzip_body.ts";

/**
 * An answer 200 with `body`, coded with gzip where the request accepts it. Each chunk can be decoded when it was written.
 *
 * @param body null: that of an answer to HEAD, whose fields are those of GET
 * @param acceptEncoding the request's field
 */
export function compressedResponse(
  body: ReadableStream<Uint8Array> | null,
  headers: Readonly<Record<string, string>>,
  acceptEncoding: string | undefined,
): Response {
  const varying = { ...headers, Vary: "Accept-Encoding" };
  if (!acceptsGzip(acceptEncoding)) return new Response(body as BodyInit | null, { headers: varying });
  const coded = body === null ? null : gzipBody(body);
  return new Response(coded as BodyInit | null, { headers: { ...varying, "Content-Encoding": "gzip" } });
}
