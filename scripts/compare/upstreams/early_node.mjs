// @ts-check
/** A Node server that answers a POST without reading its body, and closes. Prints its port. */
import { createServer } from "node:http";

const server = createServer((request, answer) => {
  if (request.method !== "POST") return void answer.end("ok");
  answer.writeHead(413, { Connection: "close", "Content-Length": 8 }).end("too long");
});
server.listen(0, "127.0.0.1", () => {
  console.log(/** @type {import("node:net").AddressInfo} */ (server.address()).port);
});
