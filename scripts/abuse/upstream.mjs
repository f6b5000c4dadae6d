// @ts-check
/**
 * The private service behind a tunnel, on bare sockets. Its answer depends on the path; it prints its port, and each
 * second how many requests it has had and how many connections it holds.
 */
import { createServer } from "node:net";

const small = `HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n${"x".repeat(1024)}`;
const block = Buffer.alloc(64 * 1024, "x");
const interims = Buffer.from("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1024));
const event = Buffer.from("data: x\n\n");

/** Writes `part` without end, as fast as it is taken. @param {import("node:net").Socket} socket @param {Buffer} part */
function pour(socket, part) {
  const more = () => {
    while (!socket.destroyed && socket.write(part));
  };
  socket.on("drain", more);
  more();
}

/**
 * What a request's path wants of its connection.
 * @type {Record<string, (socket: import("node:net").Socket) => void>}
 */
const acts = {
  /** Reads nothing more. */
  "/stall": (socket) => socket.pause(),
  /** Reads what comes and answers when the visitor has gone, that is, never. */
  "/sink": () => {},
  "/endless": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n");
    pour(socket, block);
  },
  "/interims": (socket) => pour(socket, interims),
  "/events": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    const timer = setInterval(() => socket.write(event), 1000);
    socket.on("close", () => clearInterval(timer));
  },
  "/ws": (socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  },
};

let requests = 0;
/** @type {Set<import("node:net").Socket>} */
const sockets = new Set();

const server = createServer((socket) => {
  sockets.add(socket);
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
  let text = "";
  socket.on("data", (read) => {
    text += read.toString("latin1");
    for (;;) {
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const path = text.slice(0, end).split(" ", 2)[1] ?? "/";
      text = text.slice(end + 4);
      requests++;
      const act = acts[path.split("?")[0]];
      if (act === undefined) socket.write(small);
      else {
        socket.removeAllListeners("data");
        socket.on("data", () => {});
        return act(socket);
      }
    }
  });
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(JSON.stringify({ event: "ready", port }));
});
setInterval(() => console.log(JSON.stringify({ event: "figures", requests, connections: sockets.size })), 200);
process.stdin.on("end", () => process.exit()).resume();
