/** Which agent of its owner this machine's is, as its edge is to know it. */
import { dirname } from "node:path";
import { keptInstance, newInstance } from "../agent/mod.ts";
import { agentSettingsPath } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

/**
 * Kept in `$STATE_DIRECTORY` (systemd.exec(5), the first of several), else beside the settings file. Where that folder
 * cannot be written, it lasts as long as the process.
 */
export async function machineInstance(host: ProgramHost): Promise<string> {
  try {
    const state = host.environment("STATE_DIRECTORY")?.split(":")[0] ?? "";
    return await keptInstance(state === "" ? dirname(agentSettingsPath(host)) : state);
  } catch {
    return newInstance();
  }
}
