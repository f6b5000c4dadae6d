/** An agent of `runnel.v2` that a test plays frame by frame. */
import type { Edge } from "../../src/edge/edge.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import type { Socket } from "../../src/net/mod.ts";
import { FramePeer } from "./frame_peer.ts";
import { bytesOf } from "./net.ts";
import { enterEdge } from "./tunnel.ts";

/** Resolves once it serves the tunnel `shop`. */
export async function enterAsShop(edge: Edge): Promise<{ readonly peer: FramePeer; readonly socket: Socket }> {
  const { socket, rest } = await enterEdge(edge);
  const peer = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
  await peer.greet();
  const wanted = bytesOf(JSON.stringify({ name: "shop", kind: "http", upstream: "", force: true }));
  peer.send((m) => {
    m.headers(1, [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"], 0);
    m.data(1, wanted, true);
  });
  await peer.until(
    () => peer.frames.some((frame) => frame.type === "HEADERS" && frame.fields[1] === "201"),
    "the tunnel",
  );
  return { peer, socket };
}
