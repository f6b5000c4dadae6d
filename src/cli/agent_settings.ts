/** The agent's settings file as its commands use it. */
import { type EdgeUrl, parseEdgeUrl } from "../agent/mod.ts";
import {
  agentHttpOptions,
  agentRunOptions,
  agentSettingsPath,
  asUsageError,
  type GivenSettings,
  readSettings,
  type ResolvedOptions,
  UsageError,
} from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

/** Null where there is no file. Rejects with `UsageError` where it is wrong. */
export function readAgentSettings(host: ProgramHost): Promise<GivenSettings | null> {
  return readSettings(agentSettingsPath(host), { ...agentRunOptions, ...agentHttpOptions });
}

/** The pins that count for the edge at `url`: those of the settings are for the edge of the settings alone. */
export function edgePins(
  { values, origins, settings }: PinnedCall,
  url: string,
): readonly string[] {
  if (origins.edgePin !== "settings" || settings === null) return values.edgePin;
  return labelOf(url) === labelOf(edgeIn(settings)) ? values.edgePin : [];
}

type PinOptions = Pick<typeof agentHttpOptions, "edgePin">;
type PinnedCall = ResolvedOptions<PinOptions> & { readonly settings: GivenSettings | null };

function edgeIn(settings: GivenSettings): string {
  const [url = agentHttpOptions.edge.default] = settings.values.get("edge") ?? [];
  return url as string;
}

function labelOf(url: string): string {
  return asUsageError(() => parseEdgeUrl(url, true)).label;
}

/** Throws `UsageError` unless `edge` is the one that the token of the settings is for: no other edge may see it. */
export function checkEdgeOfToken(edge: EdgeUrl, settings: GivenSettings): void {
  const tokenEdge = labelOf(edgeIn(settings));
  if (tokenEdge === edge.label) return;
  throw new UsageError(
    `No token for ${edge.label}: the one in ${settings.path} is for ${tokenEdge}`,
    `Give one with --token-file, or run 'agent login ${edge.label} --token-file -'`,
  );
}
