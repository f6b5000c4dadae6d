/** `edge apply` and `edge rollback`: what a file declares for its project, and back to what a project was. */
import { applyOptions, rollbackOptions, UsageError } from "../../config/mod.ts";
import { logger } from "../../observe/mod.ts";
import { AdminError } from "../admin_error.ts";
import type { Command, CommandCall } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatDuration } from "../figures.ts";
import { AdminClient } from "./client.ts";
import { readDeployment } from "./deployment_file.ts";
import { type Deployed, planLines } from "./plan_lines.ts";
import { awaitRollout, faultOf, type NodeRollout } from "./rollout.ts";

const apply: Command<typeof applyOptions> = {
  name: "apply",
  summary: "Make the tunnels of a project what a file says",
  options: applyOptions,
  positionals: { FILE: "the file, in YAML or JSON; - for standard input" },
  examples: ["edge apply shop.yaml --dry-run", "edge apply shop.yaml --wait", "edge apply shop.yaml --prune --json"],
  async run(call) {
    const { values, positionals, host } = call;
    checkWait(values);
    const deployment = await readDeployment(positionals.FILE!, host);
    const body = { ...deployment, prune: values.prune, dryRun: values.dryRun };
    return await deploy(call, "/api/v1/apply", body, values.prune ? null : new Set(Object.keys(deployment.tunnels)));
  },
};

const rollback: Command<typeof rollbackOptions> = {
  name: "rollback",
  summary: "Make a project what it was at an earlier revision, as a new one",
  options: rollbackOptions,
  positionals: { VERSION: "the revision, as edge apply has printed it" },
  examples: ["edge rollback 12", "edge rollback 12 --project shop --wait"],
  async run(call) {
    const { values: { project, dryRun, ...values }, positionals } = call;
    checkWait({ dryRun, ...values });
    const version = positionals.VERSION!;
    if (!/^[1-9]\d{0,14}$/.test(version)) {
      throw new UsageError(
        `The revision ${JSON.stringify(version)} is no number over 0`,
        "Name one that edge apply printed",
      );
    }
    return await deploy(call, "/api/v1/rollback", { revision: Number(version), project, dryRun }, null);
  },
};

interface WaitValues {
  readonly wait: boolean;
  readonly waitOnline: boolean;
  readonly dryRun: boolean;
}

function checkWait({ wait, waitOnline, dryRun }: WaitValues): void {
  if (!dryRun || !(wait || waitOnline)) return;
  throw new UsageError("--dry-run changes nothing that could be waited for", "Leave out --wait and --wait-online");
}

/** What both commands have. */
type DeployCall = Pick<CommandCall, "output" | "host"> & {
  readonly values: Omit<CommandCall<typeof rollbackOptions>["values"], "project">;
};

/** @param names of the tunnels in the file, where the project's others are told of */
async function deploy(
  { values, output, host }: DeployCall,
  path: string,
  body: object,
  names: ReadonlySet<string> | null,
): Promise<number> {
  const client = await AdminClient.of(values, host);
  try {
    const deployed = await client.ask("POST", path, body) as Deployed;
    // A person reads it while the agents are waited for.
    if (!output.isJson) output.result({}, ...planLines(deployed, values.dryRun, names));
    const tell = (nodes: Deployed["nodes"]) => output.isJson && output.result({ ...deployed, nodes });
    if (!values.wait && !values.waitOnline) {
      tell(deployed.nodes);
      return ExitCode.ok;
    }
    const nodes = await waitFor(client, deployed, values).catch((error) => {
      // What was applied stands, whatever became of the waiting.
      tell(deployed.nodes);
      throw error;
    });
    tell(nodes);
    checkRollout(nodes, values);
    return ExitCode.ok;
  } finally {
    client.close();
  }
}

async function waitFor(client: AdminClient, { nodes }: Deployed, values: DeployCall["values"]): Promise<NodeRollout[]> {
  const log = logger("edge");
  if (nodes.length > 0) log.info("Waiting for {names}", { names: listed(nodes.map(({ name }) => name)) });
  return await awaitRollout(client, nodes, {
    timeoutMs: values.timeout,
    isOnlineOnly: values.waitOnline,
    onProgress(states) {
      const applied = states.filter(({ state }) => state === "applied");
      const others = states.filter(({ state }) => state !== "applied").map(({ name, state }) => `${name} (${state})`);
      const [count, of] = [applied.length, states.length];
      if (others.length === 0) log.info("{count} of {of} nodes serve it", { count, of });
      else log.info("{count} of {of} nodes serve it; not yet: {names}", { count, of, names: listed(others) });
    },
  });
}

/** @throws {AdminError} naming each node that does not serve it, and why */
function checkRollout(nodes: readonly NodeRollout[], { waitOnline, timeout }: DeployCall["values"]): void {
  const isLeftOut = ({ state }: NodeRollout) => waitOnline && state === "offline";
  const missing = nodes.filter((node) => node.state !== "applied" && !isLeftOut(node));
  const left = nodes.filter(isLeftOut).map(({ name }) => name);
  if (left.length > 0) logger("edge").warn("Left out, since they are offline: {names}", { names: listed(left) });
  if (missing.length === 0) return;
  const isLate = missing.some(({ state }) => state !== "failed");
  const within = isLate ? ` within ${formatDuration(timeout)}` : "";
  const faults = listed(missing.map(faultOf));
  throw new AdminError("rollout_incomplete", `Applied, but not served by all nodes${within}: ${faults}`);
}

/** Nodes in one line; the others are counted. */
const MAX_LISTED = 20;

function listed(texts: readonly string[]): string {
  const more = texts.length - MAX_LISTED;
  return texts.slice(0, MAX_LISTED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

// deno-lint-ignore no-explicit-any -- each command has its own options
export const deployCommands: readonly Command<any>[] = [apply, rollback];
