/** A tunnel on `runnel.v2` to a scripted upstream, for tests that speak raw HTTP/1.1 at both ends. */
import assert from "node:assert/strict";
import type { V2EdgeSession } from "../../src/session/v2/edge_session.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";

export interface Stage {
  readonly tunnel: Tunnel;
  readonly upstream: ScriptedServer;
  /** Opens a public connection and writes `request` on it, `HOST` standing for the tunnel's. */
  ask(request: string): Promise<SocketReader>;
}

/** Runs `use` with a tunnel to an upstream that does as `script` says, and ends both. */
export async function withTunnel(
  script: Script,
  use: (stage: Stage) => Promise<void>,
  options: TunnelOptions = {},
): Promise<void> {
  await withTunnelTo(await ScriptedServer.start(script), { protocol: "v2", ...options }, (tunnel, upstream) =>
    use({
      tunnel,
      upstream,
      async ask(request) {
        const client = await tunnel.connect();
        client.socket.write(bytesOf(request.replace("HOST", tunnel.host)));
        return client;
      },
    }));
}

/** Waits until nothing is left of any exchange, at either end of the link. */
export async function assertNothingLeft(tunnel: Tunnel): Promise<void> {
  const session = tunnel.edge.tunnels.get("shop")!.session as V2EdgeSession;
  await eventually(() => session.active === 0 && tunnel.agent.tunnel!.session.active === 0);
  assert.equal(session.bufferedBytes, 0);
}

/** Writes text, in Latin-1. */
export function write(client: SocketReader, text: string): void {
  client.socket.write(bytesOf(text));
}
