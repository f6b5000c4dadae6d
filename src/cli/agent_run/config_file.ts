/** The file of `agent run --config`: an edge, a file with a token, and tunnels as a file of `edge apply` has them. */
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import { MAX_TUNNELS, type TunnelConfig, TunnelConfigError, tunnelFields } from "../../agent/mod.ts";
import { messageOf } from "../../base/mod.ts";
import { nameFault, readYamlFile, UsageError, type YamlFile } from "../../config/mod.ts";

const name = z.string().superRefine((text, context) => {
  const fault = nameFault(text);
  if (fault !== null) context.addIssue({ code: "custom", message: `the name ${JSON.stringify(text)} ${fault}` });
});

/** A port alone is a number in YAML. */
const fileTunnel = tunnelFields.extend({
  upstream: z.union([tunnelFields.shape.upstream, z.int().min(1).max(65_535).transform(String)]),
});

const agentFile = z.strictObject({
  version: z.literal(1).optional(),
  edge: z.string().min(1).optional(),
  tokenFile: z.string().min(1).optional(),
  tunnels: z.record(name, fileTunnel).refine((tunnels) => Object.keys(tunnels).length <= MAX_TUNNELS, {
    error: `an agent serves at most ${MAX_TUNNELS}`,
  }),
});

export interface AgentFile {
  /** Undefined where the file names none. */
  readonly edge: string | undefined;
  /** A path of its own, or below the folder of the file. */
  readonly tokenFile: string | undefined;
  readonly tunnels: readonly TunnelConfig[];
  /** The same error, with the place of what it is about, where that stands in the file. */
  located(error: unknown): unknown;
}

/**
 * @param variables the values of `${NAME}`
 * @throws {UsageError} with line and column, where what stands in the file is wrong, and where it cannot be read
 */
export async function readAgentFile(
  path: string,
  variables: (name: string) => string | undefined,
): Promise<AgentFile> {
  const text = await readFile(path, "utf8").catch((error) => {
    throw new UsageError(`--config ${path} cannot be read: ${messageOf(error)}`);
  });
  const file = readYamlFile(text, agentFile, { file: path, variables });
  const { edge, tokenFile, tunnels } = file.value;
  const isOwnPath = tokenFile === undefined || isAbsolute(tokenFile);
  return {
    edge,
    tokenFile: isOwnPath ? tokenFile : join(dirname(path), tokenFile),
    tunnels: Object.entries(tunnels).map(([name, fields]) => ({ name, ...fields })),
    located: (error) => locatedIn(file, error),
  };
}

function locatedIn(file: YamlFile<unknown>, error: unknown): unknown {
  if (!(error instanceof TunnelConfigError)) return error;
  return file.errorAt(["tunnels", error.tunnel, error.key], error.reason);
}
