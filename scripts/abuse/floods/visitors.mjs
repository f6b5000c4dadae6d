// @ts-check
/** Visitors of a tunnel that mean harm. Each function is one kind of flood. */
import { connect } from "node:net";
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

/**
 * Uploads whose chunks are all `task.chunk`, `task.bytesEach` of them at most.
 * @param {Task} task @param {Flood} flood
 */
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

/**
 * What is sent byte by byte, one each `task.everyMs`, on every socket: heads, or bodies.
 * @param {Task} task @param {Flood} flood
 */
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

/** How often some of the slow sockets send their byte: visitors do not wait for each other. */
const dripMs = 10;

/**
 * A third each: heads and bodies that come byte by byte, one each `task.everyMs`, and readers that take nothing of an
 * endless answer.
 * @param {Task} task @param {Flood} flood
 */
export async function slow(task, flood) {
  const beginnings = [
    `GET /small HTTP/1.1\r\nHost: ${task.host}\r\nX: `,
    uploadHead(task, "Content-Length: 1000000"),
    `GET /endless HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`,
  ];
  /** Those that are due together. @type {Set<Socket>[]} */
  const groups = Array.from({ length: task.everyMs / dripMs }, () => new Set());
  let turn = 0;
  const timer = setInterval(() => groups[turn++ % groups.length].forEach((socket) => socket.write("x")), dripMs);
  const all = await openSockets(task, flood, (socket, index) => {
    const part = index % beginnings.length;
    socket.write(beginnings[part]);
    if (part === 2) return void socket.once("data", () => socket.pause());
    const group = groups[index % groups.length];
    group.add(socket);
    socket.on("close", () => group.delete(socket));
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
  let left = task.count * task.requests;
  /** @type {() => void} */
  let finish = () => {};
  const done = /** @type {Promise<void>} */ (new Promise((resolve) => finish = resolve));
  resetAll(
    await openSockets(task, { ...flood, until: Promise.race([flood.until, done]) }, (socket) => {
      let end = Buffer.alloc(0);
      socket.on("data", (/** @type {Buffer} */ read) => {
        // What marks an answer may come in two reads.
        const text = Buffer.concat([end, read]);
        for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) {
          flood.count("answers");
          if (--left === 0) finish();
        }
        end = text.subarray(Math.max(0, text.length - mark.length + 1));
      });
      socket.write(request.repeat(task.requests));
    }),
  );
}

/** How far a visitor comes before it resets its connection: bytes of its request, then bytes of the answer. */
const phases = [[0, 0], [1, 0], [20, 0], [60, 0], [Infinity, 0], [Infinity, 1], [Infinity, 100]];
const paths = ["/small", "/events", "/endless", "/sink", "/stall"];

/**
 * `task.count` visitors, 50 at a time, that reset their connections in every phase of an exchange.
 * @param {Task} task @param {Flood} flood
 */
export async function resets(task, flood) {
  let index = 0;
  let isOver = false;
  void flood.until.then(() => isOver = true);
  const worker = async () => {
    while (index < task.count && !isOver) {
      const number = index++;
      const [sent, wanted] = phases[number % phases.length];
      await resetAt(task, paths[Math.floor(number / phases.length) % paths.length], sent, wanted);
      flood.count("visitors");
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
}

/** @param {Task} task @param {string} path @param {number} sent @param {number} wanted @returns {Promise<void>} */
function resetAt(task, path, sent, wanted) {
  return new Promise((resolve) => {
    const isUpload = path === "/sink" || path === "/stall";
    const head = isUpload
      ? uploadHead({ ...task, path }, "Content-Length: 100000")
      : `GET ${path} HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`;
    const text = isUpload ? head + "x".repeat(1000) : head;
    const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true });
    let read = 0;
    const leave = () => socket.resetAndDestroy();
    socket.on("close", () => resolve()).on("error", () => {});
    socket.on("data", (chunk) => (read += chunk.length) >= wanted && leave());
    socket.on("connect", () => {
      if (sent === 0) return leave();
      socket.write(text.slice(0, sent), () => {
        // Nothing may come of an upload that its upstream does not answer.
        if (wanted === 0) leave();
        else if (isUpload) setTimeout(leave, 20);
      });
    });
  });
}

/** `task.count` upgrades, 20 at a time, each closed behind its 101. @param {Task} task @param {Flood} flood */
export async function webSockets(task, flood) {
  let left = task.count;
  let isOver = false;
  void flood.until.then(() => isOver = true);
  const head = `GET /ws HTTP/1.1\r\nHost: ${task.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const worker = async () => {
    while (left-- > 0 && !isOver) {
      await new Promise((resolve) => {
        const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true });
        socket.on("error", () => {}).on("close", resolve);
        socket.once("data", (read) => {
          flood.count(`upgraded ${read.toString("latin1", 9, 12)}`);
          if (left % 2 === 0) socket.resetAndDestroy();
          else socket.end();
        });
        socket.write(head);
      });
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
}

/** Requests one after the other on every connection, `task.requests` in all. @param {Task} task @param {Flood} flood */
export async function requests(task, flood) {
  let left = task.requests;
  let open = task.count;
  /** @type {() => void} */
  let finish = () => {};
  const done = /** @type {Promise<void>} */ (new Promise((resolve) => finish = resolve));
  const request = `GET /small HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`;
  const mark = Buffer.from("HTTP/1.1 200");
  resetAll(
    await openSockets(task, { ...flood, until: Promise.race([flood.until, done]) }, (socket) => {
      socket.on("data", (/** @type {Buffer} */ read) => {
        if (read.indexOf(mark) < 0) return;
        flood.count("answers");
        if (left-- > 0) socket.write(request);
        else if (--open === 0) finish();
      });
      left--;
      socket.write(request);
    }),
  );
}

/**
 * Asks for `task.path` from `task.from`, whose packets are then lost: no FIN, no RST. Nothing of it is ever closed.
 * @param {Task} task @param {Flood} flood
 */
export async function vanishing(task, flood) {
  await openSockets(task, flood, (socket) => {
    socket.write(`GET ${task.path} HTTP/1.1\r\nHost: ${task.host}\r\n\r\n`);
    socket.on("data", () => {});
  });
}
