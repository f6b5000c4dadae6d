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

interface SessionStatus extends Member {
  readonly id: string;
  readonly node: string | null;
}

interface Status {
  readonly nodes: readonly NodeStatus[];
  readonly sessions: readonly SessionStatus[];
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
  const lines = tunnelRows.length === 0 ? members : [...members, "", ...tableLines(tunnelHeader, tunnelRows)];
  const suspended = sessions.filter(({ state }) => state === "suspended").map(suspendedLine);
  return suspended.length === 0 ? lines : [...lines, "", ...suspended];
}

function suspendedLine({ id, node, tunnels, streams }: SessionStatus): string {
  const whose = node ?? (tunnels.join(", ") || "no tunnel");
  const waiting = streams === 1 ? "1 stream waits" : `${streams} streams wait`;
  return `Session ${id} of ${whose} has lost its link, and its agent is expected back: ${waiting}`;
}

function cellsOf({ state, version, protocol, rttMs, tunnels, streams, bytesIn, bytesOut }: Member): string[] {
  const rtt = rttMs === null ? NONE : rttMs < 10 ? `${rttMs.toFixed(1)} ms` : `${Math.round(rttMs)} ms`;
  const counts = [tunnels.length, streams].map(String);
  return [state, version ?? NONE, protocol ?? NONE, rtt, ...counts, formatBytes(bytesIn), formatBytes(bytesOut)];
}

function offlineOf({ nodes, tunnels }: Status): string[] {
  // A suspended one may be back in a moment, and is offline when it is not.
  const isOffline = ({ state }: { readonly state: string }) => state !== "online" && state !== "suspended";
  return [
    ...nodes.filter(isOffline).map(({ name }) => `node ${name}`),
    ...tunnels.filter(isOffline).map(({ name }) => `tunnel ${name}`),
  ];
}
