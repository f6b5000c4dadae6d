/** The content coding gzip (RFC 9110 §8.4.1.3): who takes it, what is worth it, and bodies that are coded as they come. */
export { acceptsGzip } from "./accept_encoding.ts";
export { compressedResponse } from "./compressed_response.ts";
export { compressedUpstream } from "./compressed_upstream.ts";
export { gzipBody } from "./gzip_body.ts";
