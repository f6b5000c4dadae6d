/** The face of `src/http1/server`. */
export { type HttpServerOptions } from "./options.ts";
export { createHttpServer, HttpServer } from "./server.ts";
