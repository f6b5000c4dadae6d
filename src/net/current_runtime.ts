/** The runtime that this process runs on. */
import process from "node:process";
import { checkBuffers } from "../memory/mod.ts";
import { bun } from "./bun.ts";
import { deno } from "./deno.ts";
import { node } from "./node.ts";
import type { Runtime, RuntimeName } from "./runtime.ts";

const { versions } = process;

export const runtime: Runtime = versions.bun !== undefined ? bun : versions.deno !== undefined ? deno : node;

// Tests look for misuse of reference-counted buffers, in the programs that they start, too.
if (process.env.RUNNEL_CHECK_BUFFERS === "1") checkBuffers(true);

/** Which runtime this is. Branch on it in `src/net/` alone. */
export const runtimeName: RuntimeName = runtime.name;

/** The runtime's own version, such as `1.4.5`. */
export const runtimeVersion: string = versions[runtimeName] ?? "unknown";

/**
 * Sets the process up for a relay of bulk: has dead buffers collected in time (Bun, Deno) and freed by the thread that
 * collects (Deno, a V8 flag). Memory under bulk is a third of what it is without. For programs, at their start; a
 * library must leave that to whoever owns the process.
 */
export function tuneRuntime(): void {
  runtime.tune();
}
