/** Which bodies are worth a coding. */
import { Memo } from "../../base/mod.ts";
import { jsonStreamTypes, mediaTypeOf } from "../media_type.ts";

/** Texts whose type neither begins with `text/` nor ends as those of `suffixes` do. */
const types: ReadonlySet<string> = new Set([
  "application/json",
  ...jsonStreamTypes,
  "application/xml",
  "application/xml-dtd",
  "application/javascript",
  "application/x-javascript",
  "application/ecmascript",
]);

/** `application/problem+json`, `image/svg+xml`, `application/geo+json-seq` (RFC 6838 §4.2.8). */
const suffixes: readonly string[] = ["+json", "+xml", "+json-seq"];

const answers = new Memo((contentType) => {
  const type = mediaTypeOf(contentType);
  return type.startsWith("text/") || types.has(type) || suffixes.some((suffix) => type.endsWith(suffix));
});

/** True for text, JSON, NDJSON, XML, JavaScript and SVG, with any parameters. */
export function isCompressible(contentType: string | undefined): boolean {
  return contentType !== undefined && answers.get(contentType);
}
