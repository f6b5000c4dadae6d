/** An edge with its control plane in the process of the test: the store, the admin API, agents with tokens of their own. */
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { ControlPlane } from "../../src/cli/edge_serve/control_plane.ts";
import { DataFolder } from "../../src/config/data_folder.ts";
import { reservedNamesWith } from "../../src/config/names.ts";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { AdminApi } from "./admin_api.ts";
import { FakeClock } from "./clock.ts";
import { dial } from "../../src/net/mod.ts";
import { SocketReader } from "./net.ts";
import { withScratch } from "./scratch.ts";
import { type Protocol, startTestEdge, token as edgeToken, type Tunnel } from "./tunnel.ts";

export interface ControlStage {
  readonly edge: Edge;
  readonly admin: AdminApi;
  /** Where the admin API is: `127.0.0.1:4480`. */
  readonly adminAddress: string;
  /** That of the control plane: when tokens end, and when other programs' changes are seen. */
  readonly clock: FakeClock;
  /** The data folder. */
  readonly folder: string;
  /** Resolves once the tunnel is open. @param token default: the edge's own */
  open(protocol: Protocol, name: string, token?: string, upstream?: Handler): Promise<OpenTunnel>;
  /** The public side of `host`. */
  publicSide(host: string): Pick<Tunnel, "host" | "connect">;
}

/** @param options of the edge, whose domain is example.com; `folder` is a data folder to share */
export function withControl(
  use: (stage: ControlStage) => Promise<void>,
  options: Partial<EdgeOptions> & { readonly folder?: string } = {},
): Promise<void> {
  const { folder, ...edgeOptions } = options;
  return folder === undefined
    ? withScratch((path) => onFolder(path, use, edgeOptions))
    : onFolder(folder, use, edgeOptions);
}

async function onFolder(
  folder: string,
  use: (stage: ControlStage) => Promise<void>,
  options: Partial<EdgeOptions>,
): Promise<void> {
  const clock = new FakeClock();
  const plane = await ControlPlane.open({
    data: new DataFolder(folder),
    domain: "example.com",
    reservedNames: reservedNamesWith([]),
    listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
    isListenOptional: false,
    hosts: [],
    clock,
  });
  const edge = await startTestEdge({ domain: "example.com", ...options, ...plane.edgeOptions });
  const { port } = edge.address;
  const tunnels: OpenTunnel[] = [];
  try {
    await plane.start(edge);
    const adminAddress = plane.address as string;
    const admin = await AdminApi.of(adminAddress, folder);
    const open: ControlStage["open"] = async (protocol, name, token = edgeToken, upstream = answering(name)) => {
      const url = parseEdgeUrl(`http://127.0.0.1:${port}`);
      const asked = { edge: url, token, name, upstream, version: "0.0.0" };
      const { signal } = new AbortController();
      const tunnel = await (protocol === "json" ? openJsonTunnel(asked, signal) : openV2Tunnel(asked, signal));
      tunnels.push(tunnel);
      return tunnel;
    };
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    await use({ edge, admin, adminAddress, clock, folder, open, publicSide: (host) => ({ host, connect }) });
  } finally {
    for (const tunnel of tunnels) tunnel.session.close("The test is over");
    await edge.close();
    await plane.close();
  }
}

/** An upstream whose answer is `text`. */
export function answering(text: string): Handler {
  const body = new TextEncoder().encode(text);
  return () => Promise.resolve({ status: 200, fields: ["Content-Length", String(body.length)], body });
}

/** An upstream whose answers begin with `text`, and have no end. */
export function endless(text: string): Handler {
  return () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
    });
    return Promise.resolve({ status: 200, fields: ["Content-Type", "text/event-stream"], body });
  };
}
