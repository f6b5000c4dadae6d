/** Dear requests share the edge's and the agent's time with others, and arrive as they were sent. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { turns } from "../../src/net/turns.ts";
import { bytesOf, eventually, latin1, type SocketReader } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";
import { withTunnel } from "./stage.ts";

const SIZE = 40_000;
const UPLOADS = 8;

/** `count` chunks of one byte, which together count up. */
function tinyChunks(count: number): string {
  return Array.from({ length: count }, (_, i) => `1\r\n${i % 10}\r\n`).join("") + "0\r\n\r\n";
}

const content = Array.from({ length: SIZE }, (_, i) => i % 10).join("");

describe("bodies in chunks of one byte through a tunnel", () => {
  for (const protocol of protocols) {
    it(`arrive whole, and a neighbor is served among them (${protocol})`, async () => {
      const bodies: string[] = [];
      await withTunnel(async (peer) => {
        const head = await peer.readHead();
        if (head.startsWith("POST")) {
          let body = "";
          const isChunked = /^transfer-encoding/mi.test(head);
          if (!isChunked) body = await peer.readUntil(content);
          else while (!body.endsWith("0\r\n\r\n")) body += await peer.readUntil("\r\n\r\n");
          bodies.push(isChunked ? body.replace(/[0-9a-f]+\r\n([0-9]*)\r\n/gi, "$1") : body);
        }
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      }, async ({ ask }) => {
        const visitors: SocketReader[] = [];
        for (let count = 0; count < UPLOADS; count++) {
          const visitor = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n");
          visitors.push(visitor);
        }
        for (const visitor of visitors) visitor.socket.write(bytesOf(tinyChunks(SIZE)));
        const neighbor = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
        await neighbor.readUntil("ok");
        neighbor.socket.reset();
        for (const visitor of visitors) {
          await visitor.readUntil("ok");
          visitor.socket.reset();
        }
        assert.equal(bodies.length, UPLOADS);
        for (const body of bodies) assert.ok(body === content, `${body.length} bytes of ${SIZE}`);
        await eventually(() => turns.heldBytes === 0);
      }, { protocol });
    });

    it(`come back whole as an answer (${protocol})`, async () => {
      await withTunnel(async (peer) => {
        await peer.readHead();
        await peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + tinyChunks(SIZE),
        );
        peer.end();
      }, async ({ ask }) => {
        const client = await ask("GET / HTTP/1.0\r\nHost: HOST\r\n\r\n");
        const got = latin1(await client.readAll());
        assert.ok(got.endsWith(`\r\n\r\n${content}`), `${got.length} bytes`);
        client.socket.reset();
      }, { protocol });
    });
  }
});
