/** Node.js, as far as it differs: not at all, but that it cannot be told a reset of a socket which nobody reads. */
import { pausedWatch } from "./paused_watch.ts";
import type { Runtime } from "./runtime.ts";

export const node: Runtime = {
  name: "node",
  pause() {},
  resume() {},
  writeNow: () => 0,
  interceptReads() {},
  watch: pausedWatch,
  tune() {},
};
