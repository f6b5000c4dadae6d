// @ts-check
/** Agents whose answers would harm a visitor, were they passed on as they are. */
import { connect } from "node:net";
import { AgentLink, frame, frameTypes, headerBlock, opcodes } from "./agent_link.mjs";

/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

const injected = "X-Injected: yes";

/**
 * Fields of an answer, as an agent of either protocol may claim them.
 * @type {readonly [status: string, ...fields: string[]][]}
 */
const heads = [
  ["200", "x-a", `a\r\n${injected}`],
  ["200", "x-a", `a\n${injected}`],
  ["200", `x-a: b\r\n${injected}\r\nx-b`, "c"],
  ["200", "x a", "b"],
  ["200", "", "b"],
  ["200", "x-a", "a\0b"],
  ["200", "content-length", "5, 6"],
  ["200", "content-length", "-1"],
  ["200", "content-length", "+3"],
  ["200", "content-length", "3", "content-length", "4"],
  ["200", "transfer-encoding", "chunked"],
  ["200", "Transfer-Encoding", "xchunked", "content-length", "3"],
  ["200", "connection", "upgrade", "upgrade", "websocket"],
  [`200 OK\r\n${injected}`],
  ["20"],
  ["099"],
  ["000"],
  ["1000"],
  ["101"],
  ["-20"],
  ["+20"],
  ["2 0"],
];

/**
 * The whole answer that one visitor of `name` gets within half a second of its first byte.
 * @param {Task} task @param {string} name @param {Flood} flood @returns {Promise<string>}
 */
function read(task, name, flood) {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true });
    let text = "";
    const done = () => {
      socket.destroy();
      resolve(text);
    };
    socket.on("error", done).on("close", done);
    socket.on("data", (chunk) => text += chunk.toString("latin1"));
    socket.write(`GET / HTTP/1.1\r\nHost: ${name}.localhost\r\nConnection: close\r\n\r\n`);
    void flood.until.then(done);
  });
}

/** @param {AgentLink} link @param {readonly string[]} head */
function answerV2(link, [status, ...fields]) {
  link.onMessage = (opcode, message) => {
    if (opcode !== opcodes.binary) return;
    for (const { type, streamId } of AgentLink.framesOf(message)) {
      if (type !== frameTypes.headers || streamId % 2 !== 0) continue;
      const head = frame(frameTypes.headers, streamId, headerBlock(":status", status, ...fields));
      link.send(opcodes.binary, Buffer.concat([head, frame(frameTypes.data, streamId, "abc", 1)]));
    }
  };
}

/** @param {AgentLink} link @param {readonly string[]} head */
function answerJson(link, [status, ...fields]) {
  /** @type {Record<string, string>} */
  const headers = {};
  for (let index = 0; index < fields.length; index += 2) headers[fields[index]] = fields[index + 1];
  link.onMessage = (opcode, message) => {
    if (opcode !== opcodes.text) return;
    const asked = JSON.parse(message.toString());
    if (asked.type !== "http_request") return;
    const number = Number(status);
    const answer = { type: "http_response", request_id: asked.request_id, headers, body_b64: "YWJj" };
    link.send(opcodes.text, JSON.stringify({ ...answer, status: Number.isNaN(number) ? status : number }));
  };
}

/** One session for each head. Told: what visitors got that must not be. @param {Task} task @param {Flood} flood */
export async function hostileAnswers(task, flood) {
  const wrong = [];
  for (const [index, head] of heads.entries()) {
    for (const protocol of /** @type {const} */ (["v2", "json"])) {
      const name = `${task.name}-${protocol}-${index}`;
      const link = await AgentLink.open(task, protocol, name);
      link.socket.on("error", () => {});
      if (protocol === "v2") answerV2(link, head);
      else answerJson(link, head);
      const text = await read(task, name, flood);
      flood.count(`answered ${text.slice(9, 12)}`);
      const lines = text.slice(0, text.indexOf("\r\n\r\n")).split(/\r?\n/);
      if (lines.includes(injected) || !/^HTTP\/1\.1 [2-5]\d\d /.test(text)) wrong.push({ protocol, head, text });
      link.socket.resetAndDestroy();
    }
  }
  return wrong;
}
