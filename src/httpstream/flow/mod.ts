/** The face of `src/httpstream/flow`. */
export { GrowthAccount, GrowthPool } from "./growth_pool.ts";
export { FrameKind, Inflight } from "./inflight.ts";
export { MemoryAccount } from "./memory_account.ts";
export { ACK_AFTER_MS, Receipts } from "./receipts.ts";
export { TokenBucket } from "./token_bucket.ts";
export { ReceiveWindow, SendWindow } from "./window.ts";
