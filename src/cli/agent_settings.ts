/** The agent's settings file as its commands use it. */
import { type EdgeUrl, parseEdgeUrl } from "../agent/mod.ts";
import {
  agentHttpOptions,
  agentRunOptions,
  agentSettingsPath,
  asUsageError,
  type GivenSettings,
  readSettings,
  UsageError,
} from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

/** Null where there is no file. Rejects with `UsageError` where it is wrong. */
export function readAgentSettings(host: ProgramHost): Promise<GivenSettings | null> {
  return readSettings(agentSettingsPath(host), { ...agentRunOptions, ...agentHttpOptions });
}

/** Throws `UsageError` unless `edge` is the one that the token of the settings is for: no other edge may see it. */
export function checkEdgeOfToken(edge: EdgeUrl, settings: GivenSettings): void {
  const [url = agentHttpOptions.edge.default] = settings.values.get("edge") ?? [];
  const tokenEdge = asUsageError(() => parseEdgeUrl(url as string, true));
  if (tokenEdge.label === edge.label) return;
  throw new UsageError(
    `No token for ${edge.label}: the one in ${settings.path} is for ${tokenEdge.label}`,
    `Give one with --token-file, or run 'agent login ${edge.label} --token-file -'`,
  );
}
