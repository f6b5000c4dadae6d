/** What the agents of a node are told to serve. Each change of the node or of a tunnel of it makes a new version. */
import { createHash } from "node:crypto";
import type { TunnelRecord } from "../store/mod.ts";
import type { Directory } from "./directory.ts";

/** A tunnel, under the keys that it has in a file of `edge apply`. */
export type ConfigTunnel =
  & Pick<TunnelRecord, "id" | "name" | "kind" | "upstream" | "hostnames">
  & { readonly port?: number; readonly requires?: readonly string[] }
  & TunnelRecord["settings"];

export interface NodeConfig {
  readonly nodeId: string;
  /** The last revision that touched the node: the one that its record was written with. */
  readonly version: number;
  /** Of the tunnels: SHA-256 of their JSON, in hexadecimal. Versions with the same one serve the same. */
  readonly checksum: string;
  /** Sorted by name. */
  readonly tunnels: readonly ConfigTunnel[];
}

/** Null for a name that no node has. */
export function nodeConfigOf(
  directory: Pick<Directory, "nodes" | "tunnels" | "tunnelsOf">,
  node: string,
): NodeConfig | null {
  const stored = directory.nodes.get(node);
  if (stored === undefined) return null;
  const tunnels = directory.tunnelsOf(node).map((name) => configTunnelOf(directory.tunnels.get(name)!.value));
  const checksum = createHash("sha256").update(JSON.stringify(tunnels)).digest("hex");
  return { nodeId: stored.value.id, version: stored.revision, checksum, tunnels };
}

function configTunnelOf({ id, name, kind, upstream, hostnames, port, requires, settings }: TunnelRecord): ConfigTunnel {
  return {
    ...{ id, name, kind, upstream, hostnames },
    ...(port === null ? {} : { port }),
    ...(requires.length === 0 ? {} : { requires }),
    ...settings,
  };
}
