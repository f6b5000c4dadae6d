/** What an `Accept-Encoding` field says of gzip (RFC 9110 §12.5.3). */
import { parseAccept } from "hono/utils/accept";
import { Memo } from "../../base/mod.ts";

const answers = new Memo(likesGzip);

/**
 * True where the client takes gzip, and likes it at least as much as no coding where it says how much it likes that.
 *
 * @param acceptEncoding the field's value; several fields are joined with commas. Undefined: the client says nothing, and
 *   may be one that undoes no coding.
 */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return acceptEncoding !== undefined && answers.get(acceptEncoding);
}

function likesGzip(acceptEncoding: string): boolean {
  // The best comes first.
  const codings = parseAccept(acceptEncoding).map(({ type, q }) => ({ name: type.toLowerCase(), q }));
  const qualityOf = (...names: readonly string[]) => codings.find(({ name }) => names.includes(name))?.q;
  const gzip = qualityOf("gzip", "x-gzip") ?? qualityOf("*") ?? 0;
  return gzip > 0 && gzip >= (qualityOf("identity") ?? 0);
}
