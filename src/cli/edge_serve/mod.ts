/** `edge serve`: the edge itself, with what it keeps and its admin API. */
export { serveCommand } from "./serve.ts";
