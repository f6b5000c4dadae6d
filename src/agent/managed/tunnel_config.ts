/** What an agent is to serve: tunnels as a file of `edge apply`, an edge's config and `agent run --config` have them. */
import { z } from "zod";
import { nameErrorClass, RunnelError } from "../../base/mod.ts";
import { agentFeatures, tunnelSettingsShape } from "../../config/mod.ts";

/** Tunnels of one agent. More are refused. */
export const MAX_TUNNELS = 10_000;

/** What a tunnel has wherever it stands, but its name. */
export const tunnelFields = z.strictObject({
  kind: z.enum(["http", "tcp"]).default("http"),
  /** `3000`, `host:3000`, `https://host`, `unix:/run/app.sock`. */
  upstream: z.string().min(1).max(1024),
  hostnames: z.array(z.string().max(300)).max(100).default([]),
  port: z.int().min(1).max(65_535).optional(),
  requires: z.array(z.string().max(64)).max(64).optional(),
  ...tunnelSettingsShape,
});

export type TunnelFields = z.infer<typeof tunnelFields>;

export interface TunnelConfig extends TunnelFields {
  readonly name: string;
}

/** Keys that are not known are refused: one of them might say who may come in. */
const edgeTunnel = z.strictObject({ id: z.string().max(256), name: z.string().min(1).max(63), ...tunnelFields.shape });

/** A version of a config that an edge gives to the agents of a node. */
export interface EdgeConfig {
  readonly nodeId: string;
  readonly version: number;
  readonly checksum: string;
  readonly pushUrl: string;
  readonly pollIntervalMs: number;
  /** Sorted by name. */
  readonly tunnels: readonly TunnelConfig[];
  /** Why the tunnels cannot be read; null where they can. They are none then. */
  readonly fault: string | null;
}

const edgeConfig = z.object({
  nodeId: z.string().max(256),
  version: z.int().min(0),
  checksum: z.string().max(256),
  pushUrl: z.string().max(4096),
  pollIntervalMs: z.number().min(1),
  tunnels: z.array(z.unknown()),
});

/**
 * What an edge answered to `GET /api/agent/config`; null where it is no config. What is wrong with a tunnel is `fault`:
 * the edge is to be told of it, with the version.
 */
export function readEdgeConfig(json: unknown): EdgeConfig | null {
  const { data } = edgeConfig.safeParse(json);
  if (data === undefined) return null;
  const { tunnels, fault } = readTunnels(data.tunnels);
  return { ...data, tunnels, fault };
}

/** The same for tunnels that were kept. */
export function readTunnels(items: readonly unknown[]): { tunnels: readonly TunnelConfig[]; fault: string | null } {
  if (items.length > MAX_TUNNELS) {
    return { tunnels: [], fault: `There are ${items.length} tunnels, and an agent serves ${MAX_TUNNELS}` };
  }
  const tunnels: TunnelConfig[] = [];
  for (const [index, item] of items.entries()) {
    const { data, error } = edgeTunnel.safeParse(item);
    if (data === undefined) return { tunnels: [], fault: tunnelFault(item, index, error?.issues[0]) };
    const { id: _, ...tunnel } = data;
    tunnels.push(tunnel);
  }
  return { tunnels, fault: null };
}

function tunnelFault(item: unknown, index: number, issue: z.core.$ZodIssue | undefined): string {
  const { name } = (item ?? {}) as { name?: unknown };
  const tunnel = `The tunnel ${typeof name === "string" ? name.slice(0, 63) : `number ${index + 1}`}`;
  if (issue?.code === "unrecognized_keys") {
    return `${tunnel} has the key ${issue.keys[0]}, which this agent does not know: it is older than its edge`;
  }
  return `${tunnel} cannot be read: ${issue?.path.join(".")}: ${issue?.message}`;
}

/** A config cannot be served as it stands, whoever tries. Code `bad_config`. */
export class TunnelConfigError extends RunnelError {
  static {
    nameErrorClass(this, "TunnelConfigError");
  }

  /** The tunnel that is meant, and the key of it. */
  readonly tunnel: string;
  readonly key: string;

  constructor(tunnel: string, key: string, fault: string) {
    super({ code: "bad_config", reason: `The tunnel ${tunnel} cannot be served: ${fault}`, initiator: "user" });
    this.tunnel = tunnel;
    this.key = key;
  }
}

const features: readonly string[] = Object.values(agentFeatures);

/** @throws {TunnelConfigError} where this agent cannot do what the tunnel asks for */
export function checkTunnel({ name, kind, requires = [] }: TunnelConfig): void {
  if (kind !== "http") {
    throw new TunnelConfigError(name, "kind", `it is of the kind ${kind}, and this agent serves http alone`);
  }
  const missing = requires.filter((feature) => !features.includes(feature));
  if (missing.length === 0) return;
  throw new TunnelConfigError(name, "requires", `it requires ${missing.join(", ")}, which this agent does not have`);
}

/** True where both are served by the same upstream in the same way. */
export function hasSameUpstream(one: TunnelConfig, other: TunnelConfig): boolean {
  return one.upstream === other.upstream && one.hostHeader === other.hostHeader &&
    one.compress === other.compress && one.forwardedHeaders === other.forwardedHeaders;
}

/** True where the edge has to do the same for both. */
export function asksTheSame(one: TunnelConfig, other: TunnelConfig): boolean {
  const [before = {}, after = {}] = [one.timeouts, other.timeouts];
  if (before.firstByte !== after.firstByte || before.idle !== after.idle) return false;
  return (one.share ?? false) === (other.share ?? false);
}
