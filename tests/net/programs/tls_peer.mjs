// @ts-check
/**
 * A TLS server of Node's, so that ours is not only tested against itself. It tells its port, and does with each
 * connection what the first line on it says. Arguments: certificate file, key file, the TLS version to speak.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";

const [certificate, key, version] = process.argv.slice(2);
const secureContext = createSecureContext({
  cert: readFileSync(certificate),
  key: readFileSync(key),
  minVersion: /** @type {import("node:tls").SecureVersion} */ (version),
  maxVersion: /** @type {import("node:tls").SecureVersion} */ (version),
});

/** @type {Record<string, (socket: TLSSocket, raw: import("node:net").Socket) => void>} */
const deeds = {
  /** Says something and ends in order. */
  end: (socket) => socket.end("hello"),
  /** Says something and ends without close_notify. */
  cut: (socket, raw) => socket.write("hello", () => setImmediate(() => raw.destroy())),
  reset: (socket, raw) => socket.write("hello", () => setImmediate(() => raw.resetAndDestroy())),
  /** Answers only when the other end has ended. */
  count: (socket) => {
    let bytes = 0;
    socket.on("data", (chunk) => bytes += chunk.length);
    socket.on("end", () => socket.end(String(bytes)));
  },
  stall: (socket) => socket.pause(),
};

const server = createServer({ allowHalfOpen: true }, (raw) => {
  const socket = new TLSSocket(raw, { isServer: true, secureContext });
  // What the other end breaks off is its affair.
  socket.on("error", () => {});
  raw.on("error", () => {});
  socket.once("data", (line) => deeds[line.toString()](socket, raw));
});
server.listen(0, "127.0.0.1", () => {
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`port ${address.port}`);
});
