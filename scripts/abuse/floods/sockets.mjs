// @ts-check
/** What floods share: many sockets at once, which count how they end. */
import { connect } from "node:net";

/** @typedef {import("node:net").Socket} Socket */
/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

/** Connections that are begun at once: more than the backlog of a listener would be lost to the kernel. */
const atOnce = 200;

/**
 * Writes `part` again and again, as fast as it is taken, `limit` bytes at most.
 * @param {Socket} socket @param {Buffer} part
 */
export function pour(socket, part, limit = Infinity) {
  let left = limit;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= part.length;
      if (!socket.write(part)) return;
    }
  };
  socket.on("drain", more);
  more();
}

/**
 * Connects `task.count` sockets and calls `use` for each. Resolves with those that are left, once the time
 * is over.
 * Counts `connected`, the status of the first answer as `answered 200`, and an end before the flood's as `closed` or by
 * the error's code.
 * @param {Task} task @param {Flood} flood @param {(socket: Socket, index: number) => void} use
 */
export async function openSockets(task, flood, use) {
  /** @type {Set<Socket>} */
  const sockets = new Set();
  let isOver = false;
  void flood.until.then(() => isOver = true);
  /** @param {number} index @returns {Promise<void>} */
  const open = (index) =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true, localAddress: task.from });
      sockets.add(socket);
      socket.on("connect", () => {
        flood.count("connected");
        resolve();
        use(socket, index);
      });
      socket.once("data", (read) => {
        const status = /^HTTP\/1\.1 (\d{3})/.exec(read.toString("latin1", 0, 16))?.[1];
        if (status !== undefined) flood.count(`answered ${status}`);
      });
      let end = "closed";
      socket.on("error", (error) => end = /** @type {NodeJS.ErrnoException} */ (error).code ?? "error");
      socket.on("close", () => {
        sockets.delete(socket);
        if (!isOver) flood.count(end);
        resolve();
      });
    });
  for (let index = 0; index < task.count && !isOver; index += atOnce) {
    const batch = Math.min(atOnce, task.count - index);
    await Promise.race([Promise.all(Array.from({ length: batch }, (_, offset) => open(index + offset))), flood.until]);
  }
  await flood.until;
  isOver = true;
  flood.count("left", sockets.size);
  let sent = 0;
  for (const socket of sockets) sent += socket.bytesWritten - socket.writableLength;
  flood.count("sent bytes", sent);
  return sockets;
}

/** @param {Iterable<Socket>} sockets */
export function resetAll(sockets) {
  for (const socket of sockets) socket.resetAndDestroy();
}
