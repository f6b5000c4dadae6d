/** Node.js. Like Deno it does not notice a reset of a socket that is not read. */
import { pausedWatch } from "./paused_watch.ts";
import type { Runtime } from "./runtime.ts";
import { interceptWriteErrors } from "./write_errors.ts";

export const node: Runtime = {
  name: "node",
  pause() {},
  resume() {},
  writeNow: () => 0,
  interceptReads() {},
  interceptWriteErrors,
  spareTlsCopy() {},
  watch: pausedWatch,
  // There is a poll in each turn.
  afterPoll: (then) => void setImmediate(() => setImmediate(then)),
  afterNextPoll: (then) => void setImmediate(then),
  permitListen() {},
  mayReadAddresses: () => true,
  revive: null,
  openLibc() {
    throw new Error("Node has no call of C libraries");
  },
  withDescriptor() {},
  canBoundDialed: false,
  tune() {},
};
