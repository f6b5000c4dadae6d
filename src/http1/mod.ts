/** The face of `src/http1`. */
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
export { createHttpServer, HttpServer, type HttpServerOptions } from "./server/mod.ts";
