/** The face of `src/http1/codec`. */
export { BodyDecoder } from "./body_decoder.ts";
export { type DecodedRead, decodeRead } from "./decode_read.ts";
export { HttpParseError, HttpWriteError } from "./errors.ts";
export { chunkedBody, closeDelimitedBody, type Framing, noBody } from "./framing.ts";
export { type HttpLimits, verifyLimits } from "./limits.ts";
export { type ParsedRequest, RequestParser } from "./request_parser.ts";
export { type ParsedResponse, ResponseParser } from "./response_parser.ts";
export { chunkEnd, chunkHeader, encodeAnswerHead, encodeRequestHead, lastChunk, reasonPhrase } from "./writer.ts";
