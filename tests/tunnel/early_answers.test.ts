import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, latin1, type SocketReader } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";
import { assertNothingLeft, withTunnel, write } from "./stage.ts";

const UPLOAD_BYTES = 64 * 1024 * 1024;
const piece = new Uint8Array(64 * 1024);

/** Sends `UPLOAD_BYTES` as fast as they are taken, for as long as the connection lives. */
async function upload(client: SocketReader): Promise<number> {
  let sent = 0;
  while (sent < UPLOAD_BYTES && !client.sawClose && !client.sawEnd) {
    const drains = client.drains;
    sent += piece.length;
    if (!client.socket.write(piece)) await eventually(() => client.drains > drains || client.sawClose || client.sawEnd);
  }
  return sent;
}

describe("an early answer through a tunnel", () => {
  for (const status of ["413 Content Too Large", "401 Unauthorized"]) {
    for (const framing of ["length", "chunked"]) {
      it(`of ${status} is delivered while a ${framing} upload is under way, which stops`, async () => {
        await withTunnel(async (peer) => {
          await peer.readHead();
          await peer.waitFor(() => peer.received.length > 100_000);
          await peer.send(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
        }, async ({ ask, tunnel, upstream }) => {
          const head = framing === "length" ? `Content-Length: ${UPLOAD_BYTES}` : "Transfer-Encoding: chunked";
          const client = await ask(`POST / HTTP/1.1\r\nHost: HOST\r\n${head}\r\n\r\n`);
          if (framing === "chunked") write(client, `${UPLOAD_BYTES.toString(16)}\r\n`);
          const uploaded = upload(client);
          const got = await client.readUntil("\r\n\r\nno");
          assert.ok(got.startsWith(`HTTP/1.1 ${status}\r\n`), got);
          assert.match(got, /^Connection: close\r$/m);
          assert.ok(await uploaded < UPLOAD_BYTES, "the upload was taken to its end");
          await (await upstream.peer(0)).whenClosed();
          client.socket.reset();
          await assertNothingLeft(tunnel);
        });
      });
    }
  }

  it("that ends before a slow upload does ends that, too", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nover");
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      await client.readUntil("\r\n\r\nover");
      const peer = await upstream.peer(0);
      await peer.whenClosed();
      assert.doesNotMatch(peer.received, /0\r\n\r\n$/, "the upload was ended as if it were whole");
      await assertNothingLeft(tunnel);
      client.socket.reset();
    });
  });
});

const TOO_LONG = "HTTP/1.1 413 Content Too Large\r\n";
const refusals: [framing: string, answer: string][] = [
  ["a length", `${TOO_LONG}Content-Length: 8\r\n\r\ntoo long`],
  ["chunks", `${TOO_LONG}Transfer-Encoding: chunked\r\n\r\n8\r\ntoo long\r\n0\r\n\r\n`],
  ["the close", `${TOO_LONG}\r\ntoo long`],
];
/** The body of each visitor: most of it is under way when the upstream resets. */
const REFUSED_BYTES = 1024 * 1024;
const REFUSED_VISITORS = 20;

for (const protocol of protocols) {
  describe(`an early answer through a tunnel on ${protocol} whose upstream closes with the body unread`, () => {
    for (const [framing, answer] of refusals) {
      it(`comes whole to each of ${REFUSED_VISITORS} visitors, with ${framing}`, async () => {
        await withTunnel(async (peer) => {
          await peer.readHead();
          peer.pause();
          await peer.send(answer);
          peer.abort();
        }, async ({ ask }) => {
          for (let visitor = 0; visitor < REFUSED_VISITORS; visitor++) {
            const head = `Content-Length: ${REFUSED_BYTES}\r\nConnection: close`;
            const client = await ask(`POST / HTTP/1.1\r\nHost: HOST\r\n${head}\r\n\r\n`);
            for (let sent = 0; sent < REFUSED_BYTES && !client.sawEnd; sent += piece.length) {
              client.socket.write(piece);
              await new Promise((resolve) => setImmediate(resolve));
            }
            const got = latin1(await client.readAll());
            assert.match(got, /^HTTP\/1\.1 413 /);
            if (got.includes("Transfer-Encoding")) assert.match(got, /\r\n\r\n8\r\ntoo long\r\n0\r\n\r\n$/);
            else assert.match(got, /\r\n\r\ntoo long$/);
            client.socket.reset();
          }
        }, { protocol });
      });
    }
  });
}
