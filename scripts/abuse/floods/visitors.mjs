// @ts-check
/** Visitors of a tunnel that mean harm. Each function is one kind of flood. */
import { openSockets, pour, resetAll } from "./sockets.mjs";

/** @typedef {import("node:net").Socket} Socket */
/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

const blockBytes = 64 * 1024;

/** A block of whole copies of `text`, about as long as a read. @param {string} text */
const blockOf = (text) => Buffer.from(text.repeat(Math.max(1, Math.floor(blockBytes / text.length))), "latin1");

/** @param {Task} task @param {string} framing */
const uploadHead = ({ host, path = "/sink" }, framing) =>
  `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n`;

/** Uploads whose chunks are all `task.chunk`, `task.bytesEach` of them at most. @param {Task} task @param {Flood} flood */
export async function chunks(task, flood) {
  const block = blockOf(task.chunk);
  resetAll(
    await openSockets(task, flood, (socket) => {
      socket.write(uploadHead(task, "Transfer-Encoding: chunked"));
      pour(socket, block, task.bytesEach);
    }),
  );
}

/** Plain uploads of `task.bytesEach`. @param {Task} task @param {Flood} flood */
export async function uploads(task, flood) {
  const block = Buffer.alloc(blockBytes, "x");
  resetAll(
    await openSockets(task, flood, (socket) => {
      socket.write(uploadHead(task, `Content-Length: ${Math.ceil(task.bytesEach / blockBytes) * blockBytes}`));
      pour(socket, block, task.bytesEach);
    }),
  );
}

/** Heads that never end: `task.bytesEach` at once, then nothing. @param {Task} task @param {Flood} flood */
export async function heads(task, flood) {
  const field = `X-Filler: ${"x".repeat(1000)}\r\n`;
  const head = `GET /small HTTP/1.1\r\nHost: ${task.host}\r\n` +
    field.repeat(Math.floor(task.bytesEach / field.length));
  resetAll(await openSockets(task, flood, (socket) => void socket.write(head)));
}

/** Sockets that say nothing. @param {Task} task @param {Flood} flood */
export async function idle(task, flood) {
  resetAll(await openSockets(task, flood, () => {}));
}

/** What is sent byte by byte, one each `task.everyMs`, on every socket: heads, or bodies. @param {Task} task @param {Flood} flood */
export async function drip(task, flood) {
  const begin = task.body
    ? uploadHead(task, "Content-Length: 1000000")
    : `GET /small HTTP/1.1\r\nHost: ${task.host}\r\nX: `;
  /** @type {Set<Socket>} */
  const sockets = new Set();
  const timer = setInterval(() => sockets.forEach((socket) => socket.write("x")), task.everyMs);
  const all = await openSockets(task, flood, (socket) => {
    sockets.add(socket);
    socket.write(begin);
    socket.on("close", () => sockets.delete(socket));
  });
  clearInterval(timer);
  resetAll(all);
}

/** Asks for `task.path` on every socket and reads nothing of the answer. @param {Task} task @param {Flood} flood */
export async function readers(task, flood) {
  resetAll(
    await openSockets(task, flood, (socket) => {
      socket.write(`GET ${task.path} HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`);
      socket.once("data", () => socket.pause());
    }),
  );
}

/** Asks for `task.path` on every socket and reads all that comes. @param {Task} task @param {Flood} flood */
export async function askers(task, flood) {
  resetAll(
    await openSockets(task, flood, (socket) => {
      socket.write(`GET ${task.path} HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`);
      socket.on("data", () => {});
    }),
  );
}

/** `task.requests` requests in one write on every socket. @param {Task} task @param {Flood} flood */
export async function pipelined(task, flood) {
  const request = `GET /small HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`;
  const mark = Buffer.from("HTTP/1.1 200");
  resetAll(
    await openSockets(task, flood, (socket) => {
      socket.on("data", (read) => {
        for (let at = read.indexOf(mark); at >= 0; at = read.indexOf(mark, at + 1)) flood.count("answers");
      });
      socket.write(request.repeat(task.requests));
    }),
  );
}
