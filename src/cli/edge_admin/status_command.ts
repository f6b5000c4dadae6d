/** `edge status`: the nodes, the agents that are connected, and the tunnels. */
import { statusOptions } from "../../config/mod.ts";
import { logger } from "../../observe/mod.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes } from "../figures.ts";
import type { Command } from "../command.ts";
import { AdminClient } from "./client.ts";
import { tableLines } from "./table.ts";

/** What a row of the first table tells: a node, or a session whose token is that of no node. */
interface Member {
  readonly state: string;
  readonly version: string | null;
  readonly protocol: string | null;
  readonly rttMs: number | null;
  readonly tunnels: readonly string[];
  readonly streams: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

interface NodeStatus extends Member {
  readonly name: string;
  readonly config: { readonly acknowledged: number | null; readonly wanted: number };
}

interface TunnelStatus {
  readonly name: string;
  readonly url: string;
  readonly node: string | null;
  readonly nodes: readonly string[];
  readonly state: string;
}

interface Status {
  readonly nodes: readonly NodeStatus[];
  readonly sessions: readonly (Member & { readonly node: string | null })[];
  readonly tunnels: readonly TunnelStatus[];
}

const NONE = "-";
const nodeHeader = ["NODE", "STATE", "VERSION", "PROTOCOL", "RTT", "TUNNELS", "STREAMS", "IN", "OUT", "CONFIG"];
const tunnelHeader = ["TUNNEL", "URL", "NODE", "STATE"];

export const statusCommand: Command<typeof statusOptions> = {
  name: "status",
  summary: "Show the nodes, the agents that are connected, and the tunnels",
  options: statusOptions,
  positionals: {},
  examples: ["edge status", "edge status --check && echo all are online", "edge status --json"],
  async run({ values, output, host }) {
    const client = await AdminClient.of(values, host);
    const status = await client.ask("GET", "/api/v1/status").finally(() => client.close()) as Status;
    output.result({ ...status }, ...linesOf(status));
    const offline = offlineOf(status);
    if (!values.check || offline.length === 0) return ExitCode.ok;
    logger("edge").error("Offline: {names}", { names: offline.join(", ") });
    return ExitCode.failure;
  },
};

function linesOf({ nodes, sessions, tunnels }: Status): string[] {
  const others = sessions.filter(({ node }) => node === null);
  const rows = [
    ...nodes.map((node) => [node.name, ...cellsOf(node), `${node.config.acknowledged ?? NONE}/${node.config.wanted}`]),
    ...others.map((session) => [NONE, ...cellsOf(session), NONE]),
  ];
  const tunnelRows = tunnels.map(({ name, url, node, nodes, state }) => {
    return [name, url, node ?? (nodes.join(", ") || NONE), state];
  });
  const members = rows.length === 0
    ? ["No node is enrolled, and no agent is connected."]
    : tableLines(nodeHeader, rows);
  return tunnelRows.length === 0 ? members : [...members, "", ...tableLines(tunnelHeader, tunnelRows)];
}

function cellsOf({ state, version, protocol, rttMs, tunnels, streams, bytesIn, bytesOut }: Member): string[] {
  const rtt = rttMs === null ? NONE : rttMs < 10 ? `${rttMs.toFixed(1)} ms` : `${Math.round(rttMs)} ms`;
  const counts = [tunnels.length, streams].map(String);
  return [state, version ?? NONE, protocol ?? NONE, rtt, ...counts, formatBytes(bytesIn), formatBytes(bytesOut)];
}

function offlineOf({ nodes, tunnels }: Status): string[] {
  const isOffline = ({ state }: { readonly state: string }) => state !== "online";
  return [
    ...nodes.filter(isOffline).map(({ name }) => `node ${name}`),
    ...tunnels.filter(isOffline).map(({ name }) => `tunnel ${name}`),
  ];
}
