// @ts-check
/** A private service on Node's `http`. Its first line says where it listens. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import process from "node:process";
import { setTimeout } from "node:timers/promises";

/** @param {string} name @param {import("node:http").ServerResponse} response */
async function sendEvents(name, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
  for (const event of [1, 2, 3]) {
    while (!existsSync(`${process.env.RELEASES}/${name}-${event}`)) await setTimeout(5);
    response.write(`data: ${event}\n\n`);
  }
  response.end();
}

const server = createServer(async (request, response) => {
  const path = request.url ?? "/";
  response.setHeader("Content-Type", "text/plain");
  if (path.startsWith("/events/")) {
    await sendEvents(path.slice(8), response);
  } else if (path === "/refuse") {
    // With this field the connection is closed behind the answer, the body unread.
    response.writeHead(413, { Connection: "close", "Content-Length": 10 }).end("too large\n");
  } else if (path === "/echo") {
    let length = 0;
    const hash = createHash("sha256");
    for await (const chunk of request) {
      length += chunk.length;
      hash.update(chunk);
    }
    response.end(`${length} ${hash.digest("hex")}\n`);
  } else {
    response.writeHead(200, { "Content-Length": 6 }).end("hello\n");
  }
});
server.listen(0, "127.0.0.1", () => {
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`listens on port ${address.port}`);
});
