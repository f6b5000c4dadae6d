/**
 * A WebSocket frame (RFC 6455 §5.2), the unit that parser and writer share:
 *
 *     byte 0      FIN 0x80 | RSV 0x70, always 0 here | opcode 0x0F
 *     byte 1      MASK 0x80, set by clients and never by servers | length 0x7F
 *     0, 2 or 8   the length where the 7 bits say 126 (u16) or 127 (u64), big endian, in the shortest form
 *     0 or 4      the masking key
 *     length      the payload, masked
 *
 *     opcode | frame        | payload
 *     0x0    | continuation | the next fragment of the message
 *     0x1    | text         | UTF-8, checked over the whole message
 *     0x2    | binary       | bytes
 *     0x8    | close        | nothing, or u16 code + UTF-8 reason
 *     0x9    | ping         | up to 125 bytes
 *     0xA    | pong         | the ping's payload
 *
 * Opcodes from 0x8 are control frames: at most 125 bytes, never fragmented, allowed between fragments.
 */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

/** A client masks what it sends, a server does not. */
export type WebSocketRole = "server" | "client";

export const Opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

export type SendOpcode = Exclude<(typeof Opcode)[keyof typeof Opcode], typeof Opcode.continuation>;

export const FIN = 0x80;
export const RSV = 0x70;
export const OPCODE = 0x0f;
export const MASK = 0x80;
export const LENGTH = 0x7f;
export const LENGTH_IS_U16 = 126;
export const LENGTH_IS_U64 = 127;

export const MAX_CONTROL_BYTES = 125;
/** Flags and opcode, the length in its longest form, the masking key. */
export const MAX_HEAD_BYTES = 14;

/** The close codes (RFC 6455 §7.4.1) that Runnel itself uses. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never on the wire: the peer's close frame has no code. */
  noStatus: 1005,
  /** Never on the wire: the connection ended without the peer's close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
} as const;

/** True for the codes that a close frame may have: those of RFC 6455 §7.4 and of IANA's registry, and 3000 to 4999. */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/**
 * The peer violated the protocol or a limit. `closeCode` is that of the close frame which answers it, and the error has
 * a code for each: 1002 (`protocol_error`), 1003 (`unsupported_data`), 1007 (`invalid_payload`), 1008 (`flooded`), 1009
 * (`message_too_big`).
 */
export class WebSocketProtocolError extends RunnelError {
  static {
    nameErrorClass(this, "WebSocketProtocolError");
  }

  readonly closeCode: number;

  constructor(closeCode: number, reason: string) {
    super({ code: errorCodes.get(closeCode) ?? "protocol_error", reason, initiator: "remote" });
    this.closeCode = closeCode;
  }
}

const errorCodes: ReadonlyMap<number, string> = new Map([
  [CloseCode.unsupportedData, "unsupported_data"],
  [CloseCode.invalidPayload, "invalid_payload"],
  [CloseCode.policyViolation, "flooded"],
  [CloseCode.messageTooBig, "message_too_big"],
]);
