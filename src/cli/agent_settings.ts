/** The agent's settings file as its commands use it. */
import { type EdgeUrl, parseEdgeUrl } from "../agent/mod.ts";
import {
  agentHttpOptions,
  agentSettingsPath,
  type GivenSettings,
  readSettings,
  UsageError,
  withoutPassword,
} from "../config/mod.ts";
import { RunnelError } from "../base/mod.ts";
import type { ProgramHost } from "./host.ts";

export function readAgentSettings(host: ProgramHost): Promise<GivenSettings | null> {
  return readSettings(agentSettingsPath(host), agentHttpOptions);
}

/** A token was kept for one edge: no other edge gets to see it. */
export function checkOwner(edge: EdgeUrl, settings: GivenSettings): void {
  const [kept = agentHttpOptions.edge.default] = settings.values.get("edge") ?? [];
  const owner = usage(() => parseEdgeUrl(kept as string, true));
  if (owner.label === edge.label) return;
  throw new UsageError(
    `No token for ${edge.label}: the one in ${settings.path} is for ${owner.label}`,
    `Give one with --token-file, or run 'agent login ${edge.label} --token-file -'`,
  );
}

/** A value of the command line that only its own parser understands. */
export function usage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof RunnelError && !(error instanceof UsageError)
      ? new UsageError(withoutPassword(error.reason))
      : error;
  }
}
