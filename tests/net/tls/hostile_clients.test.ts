/** Clients that leave, stall, or send what is no hello: they must leave nothing behind. */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { dial, type Socket } from "../../../src/net/mod.ts";
import { helloMessage, recordsOf, tls12Hello } from "../../support/hello.ts";
import { bytesOf, eventually, openDescriptors, SocketReader } from "../../support/net.ts";
import { trusted } from "../../support/tls.ts";
import { startTlsListener } from "../../support/tls_listener.ts";

const CLIENTS = process.env.RUNNEL_SOAK === "1" ? 10_000 : 300;
const AT_ONCE = 25;

const whole = recordsOf(helloMessage());

/** Each does its harm over a plain connection, and resolves when it is over. */
const deeds: readonly ((socket: Socket, round: number) => Promise<unknown>)[] = [
  // Leaves at once.
  (socket) => {
    socket.reset();
    return Promise.resolve();
  },
  // Leaves within its hello.
  (socket, round) => {
    socket.write(whole.subarray(0, 1 + round % (whole.length - 1)));
    socket.end();
    return new SocketReader(socket).closed;
  },
  // Sends a hello that is wrong somewhere.
  (socket, round) => {
    const bytes = whole.slice();
    bytes[round % bytes.length] ^= 1 << round % 8;
    socket.write(bytes);
    socket.end();
    return new SocketReader(socket).closed;
  },
  // Speaks something else.
  (socket) => {
    socket.write(bytesOf("SSH-2.0-OpenSSH_9.2\r\n"));
    socket.end();
    return new SocketReader(socket).closed;
  },
  // Gets an answer to its hello, and leaves with a reset.
  async (socket) => {
    const reader = new SocketReader(socket);
    socket.write(tls12Hello);
    await Promise.race([reader.read(1), reader.closed]);
    socket.reset();
  },
  // Gets an answer, and sends noise.
  async (socket) => {
    const reader = new SocketReader(socket);
    socket.write(tls12Hello);
    await Promise.race([reader.read(1), reader.closed]);
    socket.write(recordsOf(new Uint8Array(500).fill(7)));
    socket.end();
    await reader.closed;
  },
];

describe("TlsAcceptor with hostile clients", () => {
  it(`keeps nothing of ${CLIENTS} aborted and malformed hellos, and serves others`, async () => {
    const server = await startTlsListener({}, (socket) => {
      const reader = new SocketReader(socket);
      void reader.read(4).then((bytes) => socket.write(bytes), () => {});
    });
    const target = { kind: "tcp", host: "127.0.0.1", port: server.port } as const;
    const before = openDescriptors();
    for (let round = 0; round < CLIENTS; round += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, async (_, i) => {
        const socket = await dial(target, { timeoutMs: 60_000 });
        const deed = deeds[(round + i) % deeds.length];
        await deed(socket, round + i).catch(() => {});
        socket.reset();
      }));
    }
    await eventually(() => server.acceptor.pending === 0);
    await eventually(() => openDescriptors()! <= before! + 2);
    assert.equal(server.secured.length, 0);
    assert.ok(server.errors.length > CLIENTS / 2, `${server.errors.length} were noticed`);
    const client = await dial({ ...target, tls: trusted }, { timeoutMs: 60_000 });
    client.write(bytesOf("ping"));
    assert.equal(await new SocketReader(client).readUntil("ping"), "ping");
    client.reset();
    await server.close();
  });
});
