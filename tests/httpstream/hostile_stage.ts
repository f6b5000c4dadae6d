/** A connection and a scripted peer, for tests of a peer that does what it must not. */
import assert from "node:assert/strict";
import { Connection, type ConnectionOptions, type Stream } from "../../src/httpstream/mod.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { linkPair } from "../support/link_pair.ts";

export const GET = [":method", "GET", ":path", "/"];
export const OK = [":status", "200"];

export interface Stage {
  readonly connection: Connection;
  readonly peer: FramePeer;
  readonly accepted: Stream[];
}

/** A connection of `role`, and a peer that has sent its SETTINGS. */
export async function hostileStage(role: "edge" | "agent", options: Partial<ConnectionOptions> = {}): Promise<Stage> {
  const links = linkPair();
  const accepted: Stream[] = [];
  const connection = new Connection(links[role], {
    role,
    onStream: (stream) => void accepted.push(stream),
    ...options,
  });
  const peer = new FramePeer(role === "edge" ? links.agent : links.edge);
  await peer.greet();
  return { connection, peer, accepted };
}

/** Checks that the connection, and everything on it, ends with this code, and that the peer is told. */
export async function endsWith({ connection, peer }: Stage, errorCode: number, streamId?: number): Promise<void> {
  if (streamId !== undefined) await peer.expectFrame("RST_STREAM", { streamId, errorCode, half: false });
  await peer.expectFrame("GOAWAY", { errorCode });
  assert.equal((await peer.closed()).code, 1002);
  const { code, error } = await connection.closed;
  assert.equal(code, errorCode);
  assert.equal(error?.initiator, "remote");
  assert.equal(connection.streams, 0);
  assert.equal(connection.bufferedBytes, 0);
}

/** Checks that the connection goes on: it answers a PING. */
export async function goesOn({ connection, peer }: Stage): Promise<void> {
  peer.send((m) => m.ping(new Uint8Array(8).fill(7), false));
  await peer.until(() => peer.frames.some((frame) => frame.type === "PING" && frame.ack), "the PING's answer");
  connection.close();
  peer.close();
  await peer.closed();
  await connection.closed;
}
