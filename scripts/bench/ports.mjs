// @ts-check
/** Free ports, and the moment from which something answers on one. */
import { once } from "node:events";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const startLimitMs = 15_000;

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Resolves once a GET is answered with 200.
 * @param {number} port @param {string} host of the Host field @param {string} path
 */
export async function untilAnswering(port, host, path = "/small") {
  const deadline = Date.now() + startLimitMs;
  for (;;) {
    const status = await statusOf(port, host, path);
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`port ${port} (${host}) does not answer: ${status}`);
    await sleep(20);
  }
}

/** Resolves once connections are accepted. @param {number} port */
export async function untilListening(port) {
  const deadline = Date.now() + startLimitMs;
  while (!await isListening(port)) {
    if (Date.now() > deadline) throw new Error(`port ${port} is not listened on`);
    await sleep(20);
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** @param {number} port @param {string} host @param {string} path @returns {Promise<number | string>} the status, or why there is none */
function statusOf(port, host, path) {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path, headers: { Host: host }, agent: false });
    asked.on("response", (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on("error", (error) => resolve(error.message));
    asked.end();
  });
}
