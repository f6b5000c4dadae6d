/** The runtime that this process runs on. */
import process from "node:process";
import { checkBuffers } from "../memory/mod.ts";
import { bun } from "./bun.ts";
import { deno } from "./deno.ts";
import { node } from "./node.ts";
import type { Runtime, RuntimeName } from "./runtime.ts";

const { versions } = process;

export const runtime: Runtime = versions.bun !== undefined ? bun : versions.deno !== undefined ? deno : node;

// For tests, which check the use of reference-counted buffers in the programs that they start, too.
if (process.env.RUNNEL_CHECK_BUFFERS === "1") checkBuffers(true);

/** Only code in src/net may depend on it. */
export const runtimeName: RuntimeName = runtime.name;

/** The runtime's own version, such as `1.4.5`. */
export const runtimeVersion: string = versions[runtimeName] ?? "unknown";

/**
 * Sets the process up to relay bulk: dead buffers are collected in time (Bun, Deno), and freed by the thread that
 * collects (Deno, a V8 flag). Memory under bulk is a third of what it is without. To be called by a program at its
 * start: it changes the whole process, which a library must not do by itself.
 */
export function tuneRuntime(): void {
  runtime.tune();
}
