/** Which bodies are worth a coding. */
import { Memo } from "../../base/mod.ts";
import { mediaTypeOf } from "../media_type.ts";

/** Texts whose type neither begins with `text/` nor ends as those of `suffixes` do. */
const types: ReadonlySet<string> = new Set([
  "application/json",
  "application/json-seq",
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonl",
  "application/jsonlines",
  "application/x-jsonlines",
  "application/json-lines",
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
