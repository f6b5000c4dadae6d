import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, type SocketReader } from "../support/net.ts";
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
