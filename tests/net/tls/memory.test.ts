import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { count, onGarbage, release } from "../../../src/memory/mod.ts";
import { runtimeName, type Socket, startTls, TlsAcceptor } from "../../../src/net/mod.ts";
import { noHandlers } from "../../../src/net/socket.ts";
import { connectPair } from "../../support/net.ts";
import { fixedCertificate, trusted } from "../../support/tls.ts";

const megabyte = 1024 * 1024;
const totalBytes = (process.env.RUNNEL_SOAK === "1" ? 2_048 : 128) * megabyte;
/** As large as the frames of a download. Deno's engine cuts one into 48 KiB and 9. */
const chunkBytes = 57 * 1024;
/** What is under way at a time, in both ends. It does not depend on when the collector runs: nothing waits for it. */
const limitBytes = 16 * megabyte;

async function securePair(): Promise<[client: Socket, server: Socket]> {
  const acceptor = new TlsAcceptor({ certificates: fixedCertificate() });
  const [rawClient, rawServer] = await connectPair();
  const target = { kind: "tcp", host: "localhost", port: 443, tls: trusted } as const;
  const [client, { socket }] = await Promise.all([
    startTls(rawClient, target, { timeoutMs: 60_000 }),
    acceptor.accept(rawServer),
  ]);
  return [client, socket];
}

/** Sends `totalBytes` in counted chunks, as `reader` takes them. Calls `look` for each megabyte that came. */
function transfer(writer: Socket, reader: Socket, look: () => void): Promise<void> {
  let left = totalBytes;
  let received = 0;
  const fill = () => {
    let hasRoom = true;
    while (left > 0 && hasRoom) {
      const length = Math.min(chunkBytes, left);
      left -= length;
      hasRoom = writer.write(count(new Uint8Array(length)));
    }
  };
  return new Promise((resolve, reject) => {
    writer.handlers = { ...noHandlers, onDrain: fill, onClose: reject };
    reader.handlers = {
      ...noHandlers,
      onData(bytes) {
        const before = received;
        received += bytes.length;
        release(bytes);
        if (Math.floor(before / megabyte) !== Math.floor(received / megabyte)) look();
        if (received === totalBytes) resolve();
      },
      onClose: reject,
    };
    reader.resume();
    writer.resume();
    fill();
  });
}

for (const direction of ["server to client", "client to server"]) {
  describe(`TlsSocket, ${direction}`, () => {
    it("frees what it has encrypted and decrypted at once", async () => {
      const [client, server] = await securePair();
      const [writer, reader] = direction === "server to client" ? [server, client] : [client, server];
      // What was made, less what was freed.
      let uncollected = 0;
      let mostUncollected = 0;
      onGarbage((bytes) => uncollected += bytes);
      // Bun tells what it knows from its last collection.
      const external = () => runtimeName === "deno" ? process.memoryUsage().external : 0;
      const before = external();
      let mostExternal = 0;
      try {
        await transfer(writer, reader, () => {
          mostUncollected = Math.max(mostUncollected, uncollected);
          mostExternal = Math.max(mostExternal, external() - before);
        });
      } finally {
        onGarbage(null);
        client.reset();
        server.reset();
      }
      assert.ok(mostUncollected <= limitBytes, `${mostUncollected} bytes were left to the collector`);
      assert.ok(mostExternal <= limitBytes, `${mostExternal} bytes more outside the heap`);
    });
  });
}
