/** Which agent of its owner this machine's is, as its edge is to know it. */
import { dirname } from "node:path";
import { keptInstance, newInstance } from "../agent/mod.ts";
import { agentSettingsPath } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

/** Kept beside the settings file; where that folder cannot be written, it lasts as long as the process. */
export async function machineInstance(host: ProgramHost): Promise<string> {
  try {
    return await keptInstance(dirname(agentSettingsPath(host)));
  } catch {
    return newInstance();
  }
}
