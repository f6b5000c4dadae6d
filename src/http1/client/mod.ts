/** The pooled client of one HTTP/1.1 upstream. */
export { HttpClient } from "./client.ts";
export type { Dial } from "./options.ts";
