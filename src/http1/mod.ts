/** HTTP/1.1 (RFC 9112): the server, the pooled client, and the codec that both use. */
export { type Dial, HttpClient } from "./client/mod.ts";
export {
  BodyDecoder,
  encodeRequestHead,
  HttpParseError,
  HttpWriteError,
  noBody,
  type ParsedResponse,
  ResponseParser,
} from "./codec/mod.ts";
export { HttpServer, type HttpServerInit, type HttpServerOptions } from "./server/mod.ts";
