/**
 * Frame types, flags, settings, error codes and limits of `runnel.v2`. docs/protocol.md describes them in full.
 *
 * A message of the link holds one or more whole frames. A frame is a header of 9 bytes, as in RFC 9113 §4.1 (length 24,
 * type 8, flags 8, reserved 1, stream id 31, big endian), and a payload of `length` bytes:
 *
 *     type  name           stream  flags                            payload
 *     0x00  DATA           >0      01 END_STREAM                    1 to 65,536 bytes; 0 only with END_STREAM
 *     0x01  HEADERS        >0      01 END_STREAM, 02 INFORMATIONAL, header block of at most 64 KiB and 128 fields
 *                                  04 TRAILERS
 *     0x03  RST_STREAM     >0      01 HALF                          u32 error code
 *     0x04  SETTINGS       0                                        pairs of u16 id, u32 value
 *     0x05  STOP_SENDING   >0                                       u32 error code
 *     0x07  GOAWAY         0                                        u32 last stream id, u32 error code, UTF-8 reason
 *     0x08  WINDOW_UPDATE  >0                                       u32 bytes to add, 1 to 2^31-1
 *     0x86  PING           0       01 ACK                           8 bytes
 *     0x89  ACK            0                                        u48 number of counted frames received
 *
 * A type with bit 0x80 is not counted: it is neither acknowledged nor sent again on a resume. Every other type is,
 * unknown ones included.
 */

export const FrameType = {
  DATA: 0x00,
  HEADERS: 0x01,
  RST_STREAM: 0x03,
  SETTINGS: 0x04,
  STOP_SENDING: 0x05,
  GOAWAY: 0x07,
  WINDOW_UPDATE: 0x08,
  PING: 0x86,
  ACK: 0x89,
} as const;
export type FrameType = typeof FrameType[keyof typeof FrameType];

/** Flags share bits: what 0x01 means depends on the frame's type. Bits that a type does not define are ignored. */
export const Flag = {
  /** DATA, HEADERS: the sender's direction ends with this frame. */
  END_STREAM: 0x01,
  /** HEADERS: an interim answer, 100 to 199 without 101 (RFC 9110 §15.2). */
  INFORMATIONAL: 0x02,
  /** HEADERS: fields after the body; only with END_STREAM. */
  TRAILERS: 0x04,
  /** RST_STREAM: only the direction of its sender ends. */
  HALF: 0x01,
  /** PING: the answer to another PING. */
  PING_ACK: 0x01,
} as const;

/** The ids of SETTINGS. Unknown ones are ignored. */
export const SettingId = {
  /** Bytes that the peer may send on each new stream before any credit; default 65,536, at most 2^31-1. */
  INITIAL_WINDOW: 1,
  /** Streams that the peer may have open at once; default: 64 at an edge, 16,384 at an agent. */
  MAX_CONCURRENT_STREAMS: 2,
  /** Bytes of the largest header block that the sender of the setting takes; default 65,536, at most 131,072. */
  MAX_HEADER_BLOCK: 3,
  /** Fields of a header block that the sender of the setting takes; default 128, at most 512. */
  MAX_FIELDS: 4,
  /** What the sender of the setting takes beyond the first version; see `Feature`. Default 0. */
  FEATURES: 5,
} as const;

/** The bits of FEATURES. Bits without a meaning are sent as 0 and ignored. */
export const Feature = {
  /** `:reason` in answers. */
  REASON: 0x1,
  /** Upgrades to several protocols, and with content. */
  UPGRADES: 0x2,
  /** From an edge: several tunnels of one session. From an agent: the news that it has lost one of them. */
  TUNNELS: 0x4,
} as const;

/** Why a stream or a connection ended. Up to 0xFF: RFC 9113 §7, with its numbers. From 0x100: Runnel's own. */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
  /** The upstream did not accept the connection. */
  UPSTREAM_REFUSED: 0x100,
  /** The upstream did not connect, answer or go on in time. */
  UPSTREAM_TIMEOUT: 0x101,
  /** The public client went away. */
  CLIENT_GONE: 0x102,
  /** The session of the stream could not be resumed. */
  RESUME_EXPIRED: 0x103,
  /** The connection held too many bytes, and this stream had stalled longest. */
  MEMORY_PRESSURE: 0x104,
  /** The upstream's answer was malformed. */
  UPSTREAM_INVALID: 0x105,
  /** The upstream closed before its answer was complete. */
  UPSTREAM_CLOSED: 0x106,
  /** The public client did not send its request in time. */
  REQUEST_TIMEOUT: 0x107,
  /** Another session took the name of this one's tunnel. */
  REPLACED: 0x108,
  /** The agent may not dial the upstream's address. */
  UPSTREAM_NOT_ALLOWED: 0x109,
} as const;
export type ErrorCode = typeof ErrorCode[keyof typeof ErrorCode];

/** Bytes of the window of a new stream, until the peer's SETTINGS say otherwise. */
export const DEFAULT_INITIAL_WINDOW_BYTES = 65_536;

/** Bytes before each payload. */
export const FRAME_HEADER_BYTES = 9;
/** Bytes of one message of the link, with the headers of its frames. */
export const MAX_MESSAGE_BYTES = 262_144;
/** Bytes of one DATA payload. */
export const MAX_DATA_BYTES = 65_536;
/** Bytes of one header block, whatever SETTINGS say; and what a peer takes until its SETTINGS say otherwise. */
export const MAX_HEADER_BLOCK_BYTES = 131_072;
export const DEFAULT_HEADER_BLOCK_BYTES = 65_536;
/** The same for the fields of one header block, pseudo-fields included. */
export const MAX_FIELDS = 512;
export const DEFAULT_FIELDS = 128;
/** Pairs of one SETTINGS frame. */
export const MAX_SETTINGS = 64;
/** Bytes of a GOAWAY reason that are read. Further ones are ignored. */
export const MAX_REASON_BYTES = 1_024;
/** The largest stream id, window and credit: 2^31-1. */
export const MAX_U31 = 0x7fff_ffff;
/** The largest count that ACK and the resume handshake carry: 2^48-1. */
export const MAX_COUNT = 0xffff_ffff_ffff;

const errorCodeNames = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));
const frameTypeNames = new Map<number, string>(Object.entries(FrameType).map(([name, type]) => [type, name]));

/** The name for logs and messages: `CANCEL`; a number without a name is shown as `0x1ff`. */
export function errorCodeName(code: number): string {
  return errorCodeNames.get(code) ?? `0x${code.toString(16)}`;
}

/** The name for logs and messages: `DATA`; a number without a name is shown as `type 0x7f`. */
export function frameTypeName(type: number): string {
  return frameTypeNames.get(type) ?? `type 0x${type.toString(16).padStart(2, "0")}`;
}

/** Whether frames of this type are counted: numbered by their sender, and acknowledged. */
export function isCounted(type: number): boolean {
  return (type & 0x80) === 0;
}
