/** The face of `src/session/v2`. */
export { BinarySession } from "./edge_session.ts";
export { openExchange } from "./open.ts";
export { targetOf } from "./pseudo_fields.ts";
export { serveExchange } from "./serve.ts";
