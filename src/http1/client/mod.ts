/** The face of `src/http1/client`. */
export { HttpClient } from "./client.ts";
export { type Dial } from "./options.ts";
