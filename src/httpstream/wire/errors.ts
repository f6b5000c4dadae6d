/** Errors of the codec: a peer sent bytes that break the rules, or a caller asked for such bytes. */
import { nameErrorClass, RunnelError } from "../../base/mod.ts";
import { errorCodeName } from "./frame_types.ts";

export interface ProtocolErrorInit {
  /** The code for RST_STREAM or GOAWAY; see `ErrorCode`. */
  errorCode: number;
  /** What was wrong, with the value; no full stop. */
  reason: string;
  /** `connection`: nothing that follows can be trusted. `stream`: a reset of the one stream is enough. */
  scope: "connection" | "stream";
  /** The frame's stream, where it is known. */
  streamId?: number;
}

/** The peer broke the protocol. `code` is `protocol_error`; `errorCode` is the number that the wire carries. */
export class ProtocolError extends RunnelError {
  static {
    nameErrorClass(this, "ProtocolError");
  }

  readonly errorCode: number;
  readonly scope: "connection" | "stream";
  readonly streamId?: number;

  constructor(init: ProtocolErrorInit) {
    super({
      code: "protocol_error",
      reason: `${init.reason} (${errorCodeName(init.errorCode)})`,
      initiator: "remote",
    });
    this.errorCode = init.errorCode;
    this.scope = init.scope;
    if (init.streamId !== undefined) this.streamId = init.streamId;
  }
}

/** The caller asked for a frame that a peer would have to refuse. `code` is `invalid_frame`; nothing was encoded. */
export class EncodeError extends RunnelError {
  static {
    nameErrorClass(this, "EncodeError");
  }

  /** True for a header block over the limits of its receiver, false for what no receiver takes. */
  readonly isTooLarge: boolean;

  constructor(reason: string, isTooLarge = false) {
    super({ code: "invalid_frame", reason, initiator: "user" });
    this.isTooLarge = isTooLarge;
  }
}
