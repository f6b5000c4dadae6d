/** `edge tunnel`: declared tunnels. */
import { parseTarget } from "../../agent/mod.ts";
import { adminOptions, asUsageError, tunnelAddOptions, type TunnelSettings, UsageError } from "../../config/mod.ts";
import type { Command } from "../command.ts";
import { adminCommand, listAll, recordPath } from "./command.ts";
import { tableLines } from "./table.ts";

interface Tunnel extends TunnelSettings {
  readonly name: string;
  readonly url: string;
  readonly nodes: readonly string[];
  readonly upstream: string;
  readonly hostnames: readonly string[];
}

const add = adminCommand<typeof tunnelAddOptions>({
  name: "tunnel add",
  summary: "Declare a tunnel",
  options: tunnelAddOptions,
  positionals: { NAME: "serves at NAME.DOMAIN" },
  examples: [
    "edge tunnel add shop --node web-1 --upstream 3000",
    "edge tunnel add shop --node web-1 --upstream http://127.0.0.1:3000 --hostname shop.example.com",
    "edge tunnel add db --node web-1 --upstream 127.0.0.1:5432 --kind tcp --port 20001",
  ],
  check({ values: { node, upstream, kind, port } }) {
    if (node.length === 0) {
      throw new UsageError("The option --node is missing", "Say which node serves it: --node NODE");
    }
    if (upstream === undefined) {
      throw new UsageError("The option --upstream is missing", "Say what the agent dials: --upstream TARGET");
    }
    asUsageError(() => parseTarget(upstream));
    if (port !== undefined && kind === "http") {
      throw new UsageError("--port is for tcp tunnels", "Leave it out, or add --kind tcp");
    }
  },
  async ask(client, { positionals, values, output }) {
    const { node: nodes, upstream, hostname: hostnames, kind, port = null } = values;
    const body = { name: positionals.NAME, nodes, upstream, hostnames, kind, port };
    const tunnel = await client.ask("POST", "/api/v1/tunnels", body) as Tunnel;
    output.result({ ...tunnel }, `Tunnel      ${tunnel.url}`, ...tunnel.hostnames.map((host) => `            ${host}`));
  },
});

const list = adminCommand<typeof adminOptions>({
  name: "tunnel list",
  summary: "List the declared tunnels",
  options: adminOptions,
  positionals: {},
  examples: ["edge tunnel list"],
  async ask(client, { output }) {
    const tunnels = await listAll<Tunnel>(client, "tunnels", "name");
    const rows = tunnels.map((tunnel) => [
      tunnel.name,
      tunnel.url,
      tunnel.nodes.join(", ") || "none",
      tunnel.upstream,
      tunnel.hostnames.join(", ") || "none",
      settingsText(tunnel),
    ]);
    output.result({ tunnels }, ...tableLines(["TUNNEL", "URL", "NODES", "UPSTREAM", "HOSTNAMES", "SETTINGS"], rows));
  },
});

/** `host=rewrite, firstByte=90s, share, compress, forwarded=off`; `none` where all are as usual. */
function settingsText(
  { hostHeader, timeouts = {}, share = false, compress = false, forwardedHeaders = true }: TunnelSettings,
): string {
  const { firstByte, idle } = timeouts;
  const values = Object.entries({ host: hostHeader, firstByte, idle }).filter(([, value]) => value !== undefined);
  return [
    ...values.map((pair) => pair.join("=")),
    ...(share ? ["share"] : []),
    ...(compress ? ["compress"] : []),
    ...(forwardedHeaders ? [] : ["forwarded=off"]),
  ]
    .join(", ") || "none";
}

const remove = adminCommand<typeof adminOptions>({
  name: "tunnel remove",
  summary: "Remove a tunnel, and give its hostnames back",
  options: adminOptions,
  positionals: { NAME: "the tunnel" },
  examples: ["edge tunnel remove shop"],
  async ask(client, { positionals, output }) {
    await client.ask("DELETE", recordPath("tunnels", positionals.NAME!));
    output.result({ name: positionals.NAME }, `Removed the tunnel ${positionals.NAME}`);
  },
});

// deno-lint-ignore no-explicit-any -- each command has its own options
export const tunnelCommands: readonly Command<any>[] = [add, list, remove];
