/** HTTP/1.1 messages as bytes (RFC 9112): parsers for heads, the decoder for bodies, and the writer. */
export { BodyDecoder } from "./body_decoder.ts";
export { decodeRead } from "./decode_read.ts";
export { HttpParseError, HttpWriteError } from "./errors.ts";
export { chunkedBody, closeDelimitedBody, type Framing, isBodyless, noBody } from "./framing.ts";
export { type HttpLimits, verifyLimits } from "./limits.ts";
export { type ParsedRequest, RequestParser } from "./request_parser.ts";
export { type ParsedResponse, ResponseParser } from "./response_parser.ts";
export { chunkEnd, chunkHeader, encodeRequestHead, encodeResponseHead, lastChunk } from "./writer.ts";
