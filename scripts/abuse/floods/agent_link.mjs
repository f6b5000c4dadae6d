// @ts-check
/** An agent's link on a bare socket, so that it can say what no library would. */
import { connect } from "node:net";
import { randomBytes } from "node:crypto";

/** @typedef {import("node:net").Socket} Socket */

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  goAway: 7,
  windowUpdate: 8,
  ping: 0x86,
  ack: 0x89,
};

/**
 * A WebSocket frame of a client. Its mask is zero: as good as any other to its receiver, and free here.
 * @param {number} opcode @param {Buffer | string} payload @param {boolean} fin
 */
export function webSocketFrame(opcode, payload = "", fin = true) {
  const body = Buffer.from(payload);
  const head = body.length < 126 ? Buffer.alloc(6) : body.length < 65536 ? Buffer.alloc(8) : Buffer.alloc(14);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (body.length < 126) head[1] = 0x80 | body.length;
  else if (body.length < 65536) head.writeUInt16BE(body.length, (head[1] = 0x80 | 126) && 2);
  else head.writeBigUInt64BE(BigInt(body.length), (head[1] = 0x80 | 127) && 2);
  return Buffer.concat([head, body]);
}

/**
 * A frame of runnel.v2.
 * @param {number} type @param {number} streamId @param {Buffer | string} payload @param {number} flags
 */
export function frame(type, streamId = 0, payload = "", flags = 0) {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

/** @param {number} value */
export function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block. @param {readonly string[]} fields names and values in turn */
export function headerBlock(...fields) {
  const parts = [Buffer.alloc(2)];
  parts[0].writeUInt16BE(fields.length / 2);
  for (let index = 0; index < fields.length; index += 2) {
    const [name, value] = [Buffer.from(fields[index], "latin1"), Buffer.from(fields[index + 1], "latin1")];
    const length = Buffer.alloc(2);
    length.writeUInt16BE(name.length);
    parts.push(length, name, u32(value.length), value);
  }
  return Buffer.concat(parts);
}

/** The frames with which stream `id` asks the edge for the tunnel `name`. @param {number} id @param {string} name */
export function tunnelRequest(id, name) {
  const body = JSON.stringify({ kind: "http", name, upstream: "x" });
  const head = [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"];
  return Buffer.concat([
    frame(frameTypes.headers, id, headerBlock(...head, "content-type", "application/json")),
    frame(frameTypes.data, id, body, 1),
  ]);
}

export class AgentLink {
  socket;
  /** Why it ended, as its peer said it; empty while it lives. */
  end = "";
  #tellEnd = () => {};
  /** Resolves when the edge has said that it ends the link, or the socket is closed. @type {Promise<void>} */
  ended = new Promise((resolve) => this.#tellEnd = resolve);
  /** @type {(opcode: number, payload: Buffer) => void} */
  onMessage = () => {};
  /** @type {Buffer} */
  #read = Buffer.alloc(0);

  /** @param {Socket} socket */
  constructor(socket) {
    this.socket = socket;
    /** Resolves when the socket is closed. @type {Promise<void>} */
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    void this.closed.then(this.#tellEnd);
  }

  /**
   * Resolves once the edge has answered 101. Rejects with its status line where it has not.
   * @param {{ port: number, token: string, from?: string }} task @param {"v2" | "json"} protocol
   * @returns {Promise<AgentLink>}
   */
  static dial({ port, token, from }, protocol) {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true, localAddress: from });
      const v2 = protocol === "v2" ? `Sec-WebSocket-Protocol: runnel.v2\r\nAuthorization: Bearer ${token}\r\n` : "";
      socket.write(
        `GET /agent HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${v2}` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
      );
      socket.on("error", reject);
      socket.once("close", () => reject(new Error("closed")));
      let read = Buffer.alloc(0);
      /** @param {Buffer} chunk */
      const onHead = (chunk) => {
        read = Buffer.concat([read, chunk]);
        const end = read.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", onHead);
        const line = read.toString("latin1", 0, read.indexOf("\r\n"));
        if (!line.includes(" 101 ")) {
          socket.destroy();
          return reject(new Error(line));
        }
        const link = new AgentLink(socket);
        socket.on("data", (more) => link.#take(/** @type {Buffer} */ (more)));
        link.#take(read.subarray(end + 4));
        resolve(link);
      };
      socket.on("data", onHead);
    });
  }

  /** The frames of one message of runnel.v2. @param {Buffer} message */
  static *framesOf(message) {
    for (let at = 0; at + 9 <= message.length;) {
      const length = message.readUIntBE(at, 3);
      const payload = message.subarray(at + 9, at + 9 + length);
      yield { type: message[at + 3], streamId: message.readUInt32BE(at + 5), payload };
      at += 9 + length;
    }
  }

  /**
   * A link whose tunnel `name` is open.
   * @param {{ port: number, token: string, from?: string }} task @param {"v2" | "json"} protocol @param {string} name
   */
  static async open(task, protocol, name) {
    const link = await AgentLink.dial(task, protocol);
    const isOpen = new Promise((resolve) => link.onMessage = (_, payload) => payload.includes("/") && resolve(payload));
    if (protocol === "json") {
      link.send(opcodes.text, JSON.stringify({ type: "register", tunnel_id: name, agent_token: task.token }));
    } else {
      link.send(opcodes.binary, frame(frameTypes.settings));
      link.send(opcodes.binary, tunnelRequest(1, name));
    }
    await Promise.race([isOpen, link.closed.then(() => Promise.reject(new Error(`the edge ended it: ${link.end}`)))]);
    return link;
  }

  /** @param {number} opcode @param {Buffer | string} payload */
  send(opcode, payload = "") {
    return this.socket.write(webSocketFrame(opcode, payload));
  }

  /** Frames that the edge sends are never masked. @param {Buffer} chunk */
  #take(chunk) {
    this.#read = this.#read.length === 0 ? chunk : Buffer.concat([this.#read, chunk]);
    for (;;) {
      const read = this.#read;
      if (read.length < 2) return;
      const short = read[1] & 0x7f;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (read.length < head) return;
      const length = short < 126 ? short : short === 126 ? read.readUInt16BE(2) : Number(read.readBigUInt64BE(2));
      if (read.length < head + length) return;
      this.#read = read.subarray(head + length);
      this.#message(read[0] & 15, read.subarray(head, head + length));
    }
  }

  /** @param {number} opcode @param {Buffer} payload */
  #message(opcode, payload) {
    if (opcode === opcodes.close && payload.length >= 2) {
      this.end ||= `${payload.readUInt16BE(0)} ${payload.toString("utf8", 2)}`.trim();
      this.#tellEnd();
    }
    if (opcode === opcodes.ping) this.send(opcodes.pong, payload);
    if (opcode === opcodes.binary) this.#noteGoAway(payload);
    this.onMessage(opcode, payload);
  }

  /** @param {Buffer} message */
  #noteGoAway(message) {
    for (const { type, payload } of AgentLink.framesOf(message)) {
      if (type !== frameTypes.goAway || payload.length < 8) continue;
      this.end = `GOAWAY ${payload.readUInt32BE(4)} ${payload.toString("utf8", 8)}`;
      this.#tellEnd();
    }
  }
}
