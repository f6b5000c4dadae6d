/** Flow control: windows and their growth, frames in flight and their acknowledgement, and limits. */
export { ACK_AFTER_MS, AckTracker } from "./ack_tracker.ts";
export { GrowthAccount, GrowthPool } from "./growth_pool.ts";
export { FrameKind, Inflight } from "./inflight.ts";
export { keptBytes } from "./kept_bytes.ts";
export { ReceiveWindow, SendWindow } from "./window.ts";
