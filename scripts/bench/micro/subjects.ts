/** All of `src/` that is measured here, in one place: a file that moves or a name that changes is mended here alone. */
export {
  atTickEnd,
  cachedClock,
  CancelSource,
  type Clock,
  internedLatin1,
  latin1,
  LinkedList,
  ListNode,
  Liveness,
  systemClock,
  type TickListener,
  Timeout,
} from "../../../src/base/mod.ts";
export { coarseClock } from "../../../src/base/coarse_clock.ts";
export { BumpAllocator } from "../../../src/memory/bump_allocator.ts";
export {
  compacted,
  concat,
  count as countReferences,
  disown,
  release,
  sharedAllocator,
  slice,
} from "../../../src/memory/mod.ts";
export type { RuntimeName } from "../../../src/net/runtime.ts";
export {
  dial,
  listen,
  runtimeName,
  runtimeVersion,
  type Socket,
  tuneRuntime,
  writeText,
} from "../../../src/net/mod.ts";
export {
  type BodyOwner,
  BodyPump,
  type BodySink,
  BodySource,
  endToEndFields,
  equalsLower,
  type Fields,
  fieldValue,
  isAuthority,
  isHopByHop,
  isToken,
  listHasToken,
  observeBody,
  parseLength,
  type RequestHead,
  streamOf,
  withFields,
} from "../../../src/http/mod.ts";
export { CipherStream } from "../../../src/net/tls/cipher_stream.ts";
export { splitAuthority } from "../../../src/http/authority.ts";
export {
  BodyDecoder,
  chunkedBody,
  chunkEnd,
  chunkHeader,
  decodeRead,
  encodeResponseHead,
  RequestParser,
} from "../../../src/http1/codec/mod.ts";
export { gatherFacts } from "../../../src/http1/codec/head_facts.ts";
export { HeadEncoder } from "../../../src/http1/codec/head_encoder.ts";
export { writeChunk } from "../../../src/http1/write_chunk.ts";
export { applyMask, nextMaskKey } from "../../../src/websocket/mask.ts";
export { allocateMaskMemory } from "../../../src/websocket/mask_memory.ts";
export { PayloadBuffer } from "../../../src/websocket/payload_buffer.ts";
export { MaskBuffer } from "../../../src/websocket/mask_buffer.ts";
export { MessageParser } from "../../../src/websocket/parser.ts";
export { encodeFrame, encodeTextFrame, writeFrame } from "../../../src/websocket/writer.ts";
export { Opcode } from "../../../src/websocket/frames.ts";
export { Connection, type Link, type LinkHandlers, type Stream } from "../../../src/httpstream/mod.ts";
export { IdTable } from "../../../src/httpstream/id_table.ts";
export { ReceiveBuffer } from "../../../src/httpstream/receive_buffer.ts";
export { ReceiveHalf } from "../../../src/httpstream/receive_half.ts";
export { FrameKind, GrowthPool, Inflight } from "../../../src/httpstream/flow/mod.ts";
export { RateEstimator } from "../../../src/httpstream/flow/rate_estimator.ts";
export { decodeHeaderBlock, encodeHeaderBlock, MessageBuilder } from "../../../src/httpstream/wire/mod.ts";
export { decodeChunkFrame, encodeChunkFrame } from "../../../src/session/wsproto/chunk_frame.ts";
