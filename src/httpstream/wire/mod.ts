/** The frame codec of `runnel.v2`: messages to frames and back. It knows no stream and no state. */
export { decodeMessage, type FrameVisitor } from "./decode.ts";
export { MessageBuilder } from "./encode.ts";
export { EncodeError, ProtocolError, type ProtocolErrorInit } from "./errors.ts";
export * from "./frame_types.ts";
export {
  decodeHeaderBlock,
  encodeHeaderBlock,
  headerBlockLength,
  type HeaderBlockLimits,
  writeHeaderBlock,
} from "./header_block.ts";
