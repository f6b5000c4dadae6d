/** The server of HTTP/1.1: sockets in, exchanges with a `Handler` out. */
export type { HttpServerInit, HttpServerOptions } from "./options.ts";
export { HttpServer } from "./server.ts";
