// @ts-check
/** Agents that mean harm, each with a valid token. Each function is one kind of flood. */
import { connect } from "node:net";
import { AgentLink, frame, frameTypes, headerBlock, opcodes, u32, webSocketFrame } from "./agent_link.mjs";
import { openSockets, pour, resetAll } from "./sockets.mjs";

/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

const messageBytes = 64 * 1024;

/** A message of whole copies of `part`. @param {Buffer} part */
const messageOf = (part) =>
  webSocketFrame(opcodes.binary, Buffer.alloc(Math.floor(messageBytes / part.length) * part.length, part));

/** As many copies of a WebSocket frame as make a write. @param {Buffer} part */
const framesOf = (part) => Buffer.alloc(Math.floor(messageBytes / part.length) * part.length, part);

/** A message of frames that open streams, each with the next id of an agent. @param {(id: number) => Buffer} make */
function openings(make) {
  let id = 1;
  return () => {
    const parts = [];
    for (let length = 0; length < messageBytes; length += parts[parts.length - 1].length) parts.push(make(id += 2));
    return webSocketFrame(opcodes.binary, Buffer.concat(parts));
  };
}

const openHead = headerBlock(":method", "GET", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/x");
const badHead = headerBlock(":method", "GET", ":scheme", "http", ":authority", "edge", ":path", "no-slash");
const interimHead = headerBlock(":status", "103", "link", "</a>");
const answerHead = headerBlock(":status", "200", "content-type", "text/event-stream");

/**
 * What is sent without end behind an opened tunnel: bytes to repeat, or a function that makes the next ones.
 *
 * @typedef {{ once?: Buffer, again: Buffer | (() => Buffer) }} Frames
 * @type {Record<string, (streamId: number) => Frames>}
 */
const senseless = {
  pings: () => ({ again: messageOf(frame(frameTypes.ping, 0, "12345678")) }),
  unknownFrames: () => ({ again: messageOf(frame(0x7f)) }),
  /** Of a stream that is closed already: it is ignored, one by one. */
  lateCredit: () => ({ again: messageOf(frame(frameTypes.windowUpdate, 1, u32(1))) }),
  emptyData: () => ({ again: messageOf(frame(frameTypes.data, 1, "", 1)) }),
  acks: () => ({ again: messageOf(frame(frameTypes.ack, 0, Buffer.alloc(6))) }),
  openAndReset: () => ({
    again: openings((id) =>
      Buffer.concat([frame(frameTypes.headers, id, openHead), frame(frameTypes.reset, id, u32(8))])
    ),
  }),
  badHeads: () => ({ again: openings((id) => frame(frameTypes.headers, id, badHead, 1)) }),
  credit: (id) => ({
    once: webSocketFrame(opcodes.binary, frame(frameTypes.headers, id, answerHead)),
    again: messageOf(frame(frameTypes.windowUpdate, id, u32(1))),
  }),
  interims: (id) => ({ again: messageOf(frame(frameTypes.headers, id, interimHead, 2)) }),
  webSocketPings: () => ({ again: framesOf(webSocketFrame(opcodes.ping)) }),
  webSocketPongs: () => ({ again: framesOf(webSocketFrame(opcodes.pong)) }),
  continuations: () => ({
    once: webSocketFrame(opcodes.binary, "", false),
    again: framesOf(webSocketFrame(opcodes.continuation, "", false)),
  }),
  unknownJson: () => ({ again: framesOf(webSocketFrame(opcodes.text, '{"type":"x"}')) }),
  lateChunks: () => ({
    again: framesOf(
      webSocketFrame(opcodes.text, '{"type":"http_response_chunk","request_id":"t-0","data_b64":"eA=="}'),
    ),
  }),
};

/** Those that are about a stream which the edge has opened for a visitor. */
const onStream = new Set(["credit", "interims"]);

/** @param {Task} task @param {string} name @param {string} path */
function visit(task, name, path = "/") {
  const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true });
  socket.on("error", () => {}).on("data", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${name}.localhost\r\n\r\n`);
  return socket;
}

/** The stream that the edge opens for the next visitor. @param {AgentLink} link @returns {Promise<number>} */
const nextStream = (link) =>
  new Promise((resolve) => {
    link.onMessage = (opcode, message) => {
      if (opcode !== opcodes.binary) return;
      for (const { type, streamId } of AgentLink.framesOf(message)) if (type === frameTypes.headers) resolve(streamId);
    };
  });

/**
 * Writes what `next` makes, for as long as it is taken.
 * @param {import("node:net").Socket} socket @param {() => Buffer} next
 */
function pourMade(socket, next) {
  const more = () => {
    while (!socket.destroyed && socket.write(next()));
  };
  socket.on("drain", more);
  more();
}

/**
 * `task.frames`, without end, on one link; with `task.repeat` on the next one when that is ended.
 * @param {Task} task @param {Flood} flood
 */
export async function senselessFrames(task, flood) {
  let isOver = false;
  void flood.until.then(() => isOver = true);
  for (let index = 0; !isOver && (index === 0 || task.repeat); index++) {
    await senselessLink(task, flood, `${task.name}-${index}`).catch((error) =>
      flood.count(`refused: ${error.message}`)
    );
  }
}

/** One link, until it is ended or the flood is over. @param {Task} task @param {Flood} flood @param {string} name */
async function senselessLink(task, flood, name) {
  const link = await AgentLink.open(task, task.protocol, name);
  link.socket.on("error", () => {});
  const opened = nextStream(link);
  const visitor = onStream.has(task.frames) ? visit(task, name) : null;
  const { once, again } = senseless[task.frames](visitor === null ? 0 : await opened);
  if (once !== undefined) link.socket.write(once);
  if (typeof again === "function") pourMade(link.socket, again);
  else pour(link.socket, again);
  await Promise.race([link.ended, flood.until]);
  flood.count("sent bytes", link.socket.bytesWritten - link.socket.writableLength);
  if (link.end !== "") flood.count(link.end);
  else flood.count(link.socket.destroyed ? "closed" : "still open");
  link.socket.resetAndDestroy();
  visitor?.resetAndDestroy();
}

/**
 * `task.count` uploads for an agent that reads nothing, or little. The agent stays when the visitors leave.
 * @param {Task} task @param {Flood} flood
 */
export async function slowAgent(task, flood) {
  const link = await AgentLink.open(task, task.protocol, task.name);
  const { socket } = link;
  socket.on("error", () => {});
  socket.pause();
  if (task.bytesPerSecond > 0) {
    setInterval(() => socket.read(Math.floor(task.bytesPerSecond / 10)), 100);
    socket.removeAllListeners("data").on("readable", () => {});
  }
  void link.closed.then(() => flood.count(link.end === "" ? "agent closed" : link.end));
  const block = Buffer.alloc(64 * 1024, "x");
  const bytes = Math.ceil(task.bytesEach / block.length) * block.length;
  resetAll(
    await openSockets(task, flood, (visitor) => {
      visitor.write(`POST /x HTTP/1.1\r\nHost: ${task.name}.localhost\r\nContent-Length: ${bytes}\r\n\r\n`);
      pour(visitor, block, bytes);
    }),
  );
}

/** One session that claims `task.count` names. Told: how many it got. @param {Task} task @param {Flood} flood */
export async function names(task, flood) {
  const link = await AgentLink.open(task, "v2", task.name);
  link.socket.on("error", () => {});
  const wanted = task.names ?? Array.from({ length: task.count }, (_, index) => `${task.name}-${index}`);
  const got = [];
  for (const [index, name] of wanted.entries()) {
    const status = await claim(link, 3 + 2 * index, name);
    flood.count(`answered ${status}`);
    if (status === "201") got.push(name);
  }
  link.socket.resetAndDestroy();
  return task.names === undefined ? got.length : got;
}

/**
 * The status of the edge's answer to a claim.
 * @param {AgentLink} link @param {number} id @param {string} name @returns {Promise<string>}
 */
function claim(link, id, name) {
  const body = JSON.stringify({ kind: "http", name, upstream: "x" });
  const head = headerBlock(":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels");
  return new Promise((resolve) => {
    link.onMessage = (opcode, message) => {
      if (opcode !== opcodes.binary) return;
      for (const { type, streamId, payload } of AgentLink.framesOf(message)) {
        if (streamId !== id) continue;
        if (type === frameTypes.reset) resolve(`reset ${payload.readUInt32BE(0)}`);
        if (type === frameTypes.headers) {
          resolve(statusOf(payload));
        }
      }
    };
    void link.closed.then(() => resolve(link.end));
    link.send(
      opcodes.binary,
      Buffer.concat([frame(frameTypes.headers, id, head), frame(frameTypes.data, id, body, 1)]),
    );
  });
}

/** The status of an answer's head. @param {Buffer} block */
function statusOf(block) {
  const name = ":status";
  // Behind the name stand four bytes of length.
  const at = block.indexOf(name) + name.length + 4;
  return block.toString("latin1", at, at + 3);
}

/**
 * Links of the JSON protocol that never register; then an honest agent comes from another address. Told: what it got.
 * @param {Task} task @param {Flood} flood
 */
export async function unregistered(task, flood) {
  /** @type {AgentLink[]} */
  const links = [];
  const dial = async () => {
    try {
      const link = await AgentLink.dial(task, "json");
      link.socket.on("error", () => {});
      links.push(link);
      void link.closed.then(() => flood.count(link.end === "" ? "closed" : link.end));
    } catch (error) {
      flood.count(String(/** @type {Error} */ (error).message));
    }
  };
  for (let index = 0; index < task.count; index += 50) await Promise.all(Array.from({ length: 50 }, dial));
  const honest = await AgentLink.open({ ...task, from: undefined }, "json", "honest").then(
    () => "registered",
    (error) => String(error.message),
  );
  for (const { socket } of links) socket.resetAndDestroy();
  return honest;
}

/**
 * A session that breaks a rule of WebSocket while a visitor waits, and keeps its socket. Told: what the visitor got,
 * and when.
 * @param {Task} task @param {Flood} flood
 */
export async function ruleBreaker(task, flood) {
  const link = await AgentLink.open(task, task.protocol, task.name);
  link.socket.on("error", () => {});
  const visitor = visit(task, task.name);
  const asked = new Promise((resolve) => link.onMessage = resolve);
  const answered = new Promise((resolve) => {
    visitor.once("data", (read) => resolve(read.toString("latin1", 9, 12)));
    visitor.once("close", () => resolve("closed"));
  });
  await asked;
  const at = performance.now();
  // An opcode that does not exist (RFC 6455 §5.2).
  link.send(3, "x");
  const status = await Promise.race([answered, flood.until.then(() => "none")]);
  const afterMs = performance.now() - at;
  flood.count(`answered ${status}`);
  link.socket.resetAndDestroy();
  return { status, afterMs };
}

/** Sessions that end with a reason which would forge lines of a log. @param {Task} task @param {Flood} flood */
export async function forgers(task, flood) {
  const reason = "x\n2026-01-01T00:00:00.000Z [INFO] runnel.edge: forged\u001b[2J\u202e\r\nforged";
  for (let index = 0; index < task.count; index++) {
    const link = await AgentLink.open(task, index % 2 === 0 ? "v2" : "json", `${task.name}-${index}`);
    link.socket.on("error", () => {});
    const code = Buffer.from([1000 >> 8, 1000 & 255]);
    if (index % 4 === 0) {
      link.send(opcodes.binary, frame(frameTypes.goAway, 0, Buffer.concat([u32(0), u32(2), Buffer.from(reason)])));
    }
    link.send(opcodes.close, Buffer.concat([code, Buffer.from(reason)]));
    await link.closed;
    flood.count("sessions");
  }
}
