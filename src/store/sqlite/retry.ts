import type { Clock } from "../../base/mod.ts";
import { holdProcess } from "../../net/mod.ts";

/** Milliseconds until what found the file held is tried again. */
const RETRY_MS = 20;

/** Resolves when it is time to try again. Until then the process stays alive: nothing else may hold it. */
export async function untilRetry(clock: Clock): Promise<void> {
  const endHold = holdProcess();
  await new Promise<void>((done) => void clock.after(RETRY_MS, done));
  endHold();
}
