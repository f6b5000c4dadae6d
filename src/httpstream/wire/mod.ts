/** The frame codec of `runnel.v2`: bytes in, calls out, and the other way round. It knows no stream and no state. */
export { decodeMessage, type FrameVisitor } from "./decode.ts";
export { MessageBuilder } from "./encode.ts";
export { EncodeError, ProtocolError, type ProtocolErrorInit } from "./errors.ts";
export * from "./frame_types.ts";
export { decodeHeaderBlock, encodeHeaderBlock, headerBlockLength, writeHeaderBlock } from "./header_block.ts";
export { ErrorCode, errorCodeName, MAX_HEADER_BLOCK, MAX_U31 } from "./frame_types.ts";
