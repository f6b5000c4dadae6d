/** Pages of a list: from behind a key on, up to a limit. */

/** The values of `records`, sorted by their keys. */
export function pageOf<T>(
  records: ReadonlyMap<string, T>,
  { after, limit }: { readonly after?: string; readonly limit: number },
): T[] {
  const keys = [...records.keys()].sort();
  const from = after === undefined ? 0 : keys.findIndex((key) => key > after);
  return from < 0 ? [] : keys.slice(from, from + limit).map((key) => records.get(key) as T);
}
