/** The file of `edge apply`: a project with its tunnels, and labels of nodes, in YAML or JSON. */
import { createReadStream } from "node:fs";
import { z } from "zod";
import { parseTarget } from "../../agent/mod.ts";
import { RunnelError } from "../../base/mod.ts";
import { featurePattern, readYamlFile, tunnelSettingsShape, UsageError } from "../../config/mod.ts";
import type { ProgramHost } from "../host.ts";

/** What the admin API is asked to apply. */
export interface DeploymentBody {
  readonly project: string;
  readonly nodes: Readonly<Record<string, unknown>>;
  readonly tunnels: Readonly<Record<string, unknown>>;
}

/** Longer files are refused by whoever parses them. */
const MAX_TEXT_CHARACTERS = 1024 * 1024 + 1;

const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not 1 to 63 of a to z, 0 to 9 and hyphens");
const nodes = z.array(name).min(1).max(16);

const tunnelFields = z.strictObject({
  kind: z.enum(["http", "tcp"]).optional(),
  node: name.optional(),
  /** Several, of which each may serve it. */
  nodes: nodes.optional(),
  upstream: z.union([z.string(), z.int().min(1).max(65_535).transform(String)]),
  hostnames: z.array(z.string()).optional(),
  port: z.int().min(1).max(65_535).optional(),
  requires: z.array(z.string().regex(featurePattern, "is no name of a feature")).optional(),
  ...tunnelSettingsShape,
}).refine(({ node, nodes }) => (node === undefined) !== (nodes === undefined), "needs one of node and nodes");

const labels = z.record(z.string(), z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]));

const fileFields = z.strictObject({
  version: z.literal(1, "must be 1"),
  project: name,
  nodes: z.record(name, z.strictObject({ labels: labels.optional() }).nullable()).optional(),
  tunnels: z.record(name, tunnelFields).optional(),
});

/**
 * Reads `path`, or standard input for `-`.
 *
 * @throws {UsageError} where it cannot be read; with file, line and column where something in it is wrong
 */
export async function readDeployment(path: string, host: ProgramHost): Promise<DeploymentBody> {
  const file = path === "-" ? "standard input" : path;
  const text = await textOf(path, file, host);
  const { value, errorAt } = readYamlFile(text, fileFields, { file, variables: (name) => host.environment(name) });
  const { project, nodes = {}, tunnels = {} } = value;
  const told = Object.entries(tunnels).map(([name, { node, nodes: several, ...tunnel }]) => {
    const fault = targetFault(tunnel.upstream);
    if (fault !== null) throw errorAt(["tunnels", name, "upstream"], fault);
    return [name, { ...tunnel, nodes: several ?? [node] }] as const;
  });
  const named = Object.entries(nodes).map(([name, node]) => [name, node ?? {}] as const);
  return { project, nodes: Object.fromEntries(named), tunnels: Object.fromEntries(told) };
}

async function textOf(path: string, file: string, host: ProgramHost): Promise<string> {
  let text = "";
  try {
    const pieces = path === "-" ? host.stdin() : createReadStream(path, "utf8");
    for await (const piece of pieces) {
      text += piece;
      if (text.length > MAX_TEXT_CHARACTERS) break;
    }
  } catch (error) {
    throw new UsageError(
      `The file ${file} cannot be read: ${(error as Error).message}`,
      "Name a file, or - for a pipe",
    );
  }
  return text;
}

/** What the agent would say of the upstream; null where it can dial it. */
function targetFault(upstream: string): string | null {
  try {
    parseTarget(upstream);
    return null;
  } catch (error) {
    if (error instanceof RunnelError) return error.reason;
    throw error;
  }
}
