// @ts-check
/** Agents that mean harm, each with a valid token. Each function is one kind of flood. */
import { AgentLink, frame, frameTypes, opcodes, u32, webSocketFrame } from "./agent_link.mjs";
import { pour } from "./sockets.mjs";

/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

const messageBytes = 64 * 1024;

/** A message of whole copies of `part`. @param {Buffer} part */
const messageOf = (part) =>
  webSocketFrame(opcodes.binary, Buffer.alloc(Math.floor(messageBytes / part.length) * part.length, part));

/**
 * What is sent without end behind an opened tunnel. Each function makes the bytes to repeat of what the session opened.
 * @type {Record<string, () => { once?: Buffer, again: Buffer }>}
 */
const senseless = {
  pings: () => ({ again: messageOf(frame(frameTypes.ping, 0, "12345678")) }),
  unknownFrames: () => ({ again: messageOf(frame(0x7f)) }),
  /** Of a stream that is closed already: they are ignored, one by one. */
  windowUpdates: () => ({ again: messageOf(frame(frameTypes.windowUpdate, 1, u32(1))) }),
  emptyData: () => ({ again: messageOf(frame(frameTypes.data, 1, "", 1)) }),
  acks: () => ({ again: messageOf(frame(frameTypes.ack, 0, Buffer.alloc(6))) }),
  webSocketPings: () => ({ again: Buffer.alloc(messageBytes - messageBytes % 6, webSocketFrame(opcodes.ping)) }),
  webSocketPongs: () => ({ again: Buffer.alloc(messageBytes - messageBytes % 6, webSocketFrame(opcodes.pong)) }),
  continuations: () => ({
    once: webSocketFrame(opcodes.binary, "", false),
    again: Buffer.alloc(messageBytes - messageBytes % 6, webSocketFrame(opcodes.continuation, "", false)),
  }),
};

/** @param {Task} task @param {Flood} flood */
export async function senselessFrames(task, flood) {
  const links = [];
  for (let index = 0; index < task.count; index++) {
    const link = await AgentLink.open(task, task.protocol ?? "v2", `flood-${index}`);
    links.push(link);
    const { once, again } = senseless[task.frames]();
    if (once !== undefined) link.socket.write(once);
    pour(link.socket, again);
    link.socket.on("error", () => {});
    void link.closed.then(() => flood.count(link.end === "" ? "closed" : link.end));
  }
  await Promise.race([flood.until, Promise.all(links.map((link) => link.closed))]);
  for (const link of links) {
    flood.count("sent bytes", link.socket.bytesWritten - link.socket.writableLength);
    if (link.end === "" && !link.socket.destroyed) flood.count("still open");
    link.socket.resetAndDestroy();
  }
  // What is left of the flood's time shows whether the neighbor is well again.
  await flood.until;
}
