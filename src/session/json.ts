/** JSON that a peer sent, to be checked by a schema. */

/** The value of `text`; undefined where it is not JSON, which no schema of a peer's message accepts. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
