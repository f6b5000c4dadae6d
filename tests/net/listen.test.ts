import { after, describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dial, listen, type Listener, type Socket, SocketError } from "../../src/net/mod.ts";
import {
  bytesOf,
  eventually,
  latin1,
  listeningDescriptor,
  openDescriptors,
  programCommand,
  removeTemporaryFolders,
  SocketReader,
  startTcpServer,
  temporaryPath,
} from "../support/net.ts";

const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

async function listenError(listening: Promise<Listener>): Promise<SocketError> {
  const error = await listening.then(() => null, (error) => error);
  assert.ok(error instanceof SocketError, String(error));
  return error;
}

describe("listen", () => {
  it("picks a free port for port 0, and tells it", async () => {
    const listener = await listen(LOOPBACK, () => {});
    assert.equal(listener.address.kind, "tcp");
    assert.equal(listener.address.host, "127.0.0.1");
    assert.ok(listener.address.port > 0);
    await listener.close();
  });

  it("shows an IPv4 client of a listener on every address as IPv4", async () => {
    let remote = "";
    const listener = await listen({ kind: "tcp", host: "::", port: 0 }, (socket) => {
      remote = socket.remote.host;
      socket.resume();
      socket.end();
    });
    const socket = await dial({ kind: "tcp", host: "127.0.0.1", port: listener.address.port });
    await eventually(() => remote !== "");
    assert.equal(remote, "127.0.0.1");
    socket.reset();
    await listener.close();
  });

  it("is emptied when the last socket that it accepted has closed", async () => {
    const accepted: Socket[] = [];
    const listener = await listen(LOOPBACK, (socket) => accepted.push(socket));
    const target = { ...LOOPBACK, port: listener.address.port };
    const peers = [await dial(target), await dial(target)];
    await eventually(() => accepted.length === 2);
    let isEmptied = false;
    const emptied = listener.emptied.then(() => isEmptied = true);
    await listener.close();
    accepted[0].reset();
    await new SocketReader(peers[0]).closed;
    assert.equal(isEmptied, false);
    accepted[1].reset();
    await emptied;
    await new SocketReader(peers[1]).closed;
    await listener.emptied;
  });

  it("rejects with address_in_use when another listens there", async () => {
    const first = await listen(LOOPBACK, () => {});
    const error = await listenError(listen({ ...LOOPBACK, port: first.address.port }, () => {}));
    assert.equal(error.code, "address_in_use");
    assert.equal(error.message, `Cannot listen on 127.0.0.1:${first.address.port}: address already in use`);
    await first.close();
  });

  it("rejects with address_not_available when the address is another machine's", async () => {
    const error = await listenError(listen({ kind: "tcp", host: "192.0.2.1", port: 0 }, () => {}));
    assert.equal(error.code, "address_not_available");
    assert.equal(error.message, "Cannot listen on 192.0.2.1:0: no such address on this machine");
  });

  it("rejects with host_not_found when the name has no address", async () => {
    const error = await listenError(listen({ kind: "tcp", host: "no-such-host.invalid", port: 0 }, () => {}));
    assert.equal(error.code, "host_not_found");
  });

  it("resets what comes past maxSockets, and takes more once one has gone", async () => {
    const accepted: Socket[] = [];
    const listener = await listen(LOOPBACK, (socket) => accepted.push(socket), { maxSockets: 2 });
    const target = { ...LOOPBACK, port: listener.address.port };
    const kept = [new SocketReader(await dial(target)), new SocketReader(await dial(target))];
    await eventually(() => accepted.length === 2);
    // The reset may arrive before the dial has succeeded.
    const shed = await dial(target).then((socket) => new SocketReader(socket).closed, (error) => error);
    assert.equal(shed?.code, "connection_reset");
    assert.equal(accepted.length, 2);

    accepted[0].reset();
    await kept[0].closed;
    const next = new SocketReader(await dial(target));
    await eventually(() => accepted.length === 3);
    accepted[2].write(bytesOf("welcome"));
    assert.equal(await next.readUntil("welcome"), "welcome");
    for (const socket of accepted) socket.reset();
    await listener.close();
  });

  it("gives its descriptors back after 200 connections and 50 aborted dials", async (t) => {
    if (openDescriptors() === null) return t.skip("this system does not tell its descriptors");
    const server = await startTcpServer((socket) => new SocketReader(socket));
    await roundTrip(server.target);
    const before = openDescriptors()!;
    await Promise.all(Array.from({ length: 200 }, () => roundTrip(server.target)));
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const dialing = dial(server.target, { signal: controller.signal });
      controller.abort();
      await assert.rejects(dialing, { code: "aborted" });
    }
    for (const socket of server.sockets) socket.reset();
    await eventually(() => openDescriptors()! <= before);
    await server.close();
  });
});

/** One connection that the server resets or that resets itself, alternately. */
async function roundTrip(target: Parameters<typeof dial>[0]): Promise<void> {
  const socket = await dial(target);
  const reader = new SocketReader(socket);
  socket.write(bytesOf("hello"));
  await eventually(() => socket.bufferedBytes === 0);
  socket.reset();
  await reader.closed;
}

describe("Listener.close", () => {
  it("refuses new connections and lets the accepted ones live", async () => {
    const server = await startTcpServer();
    const socket = await dial(server.target);
    const reader = new SocketReader(socket);
    await eventually(() => server.sockets.length === 1);
    await server.listener.close();
    await assert.rejects(dial(server.target), { code: "connection_refused" });
    server.sockets[0].write(bytesOf("still here"));
    server.sockets[0].end();
    assert.equal(latin1(await reader.readAll()), "still here");
    socket.reset();
    await server.close();
  });

  it("frees the port at once, with an accepted socket still open", async () => {
    const server = await startTcpServer();
    const socket = await dial(server.target);
    await eventually(() => server.sockets.length === 1);
    await server.listener.close();
    const again = await listen({ ...LOOPBACK, port: server.port }, () => {});
    assert.equal(again.address.port, server.port);
    await again.close();
    socket.reset();
    await server.close();
  });

  it("may be called twice", async () => {
    const listener = await listen(LOOPBACK, () => {});
    await Promise.all([listener.close(), listener.close()]);
    await listener.close();
  });
});

describe("listen on a unix socket", () => {
  after(removeTemporaryFolders);

  it("removes its file at close", async () => {
    const path = await temporaryPath("app.sock");
    const listener = await listen({ kind: "unix", path }, () => {});
    assert.equal(existsSync(path), true);
    await listener.close();
    await eventually(() => !existsSync(path));
  });

  it("rejects with address_in_use when another listens there, and leaves that one alone", async () => {
    const path = await temporaryPath("app.sock");
    const first = await listen({ kind: "unix", path }, (socket) => socket.end());
    const error = await listenError(listen({ kind: "unix", path }, () => {}));
    assert.equal(error.code, "address_in_use");
    assert.equal(error.message, `Cannot listen on unix:${path}: address already in use`);
    const socket = await dial({ kind: "unix", path });
    socket.reset();
    await first.close();
  });

  it("takes over the file that a killed process left", async () => {
    const path = await temporaryPath("app.sock");
    const child = spawn(...programCommand("tests/net/programs/listen_unix.ts", path), {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
    assert.equal(existsSync(path), true);
    const listener = await listen({ kind: "unix", path }, (socket) => socket.end());
    const socket = await dial({ kind: "unix", path });
    await new SocketReader(socket).ended;
    socket.reset();
    await listener.close();
  });

  it("rejects with address_not_available when the folder is missing", async () => {
    const path = `${await temporaryPath("missing")}/app.sock`;
    const error = await listenError(listen({ kind: "unix", path }, () => {}));
    assert.equal(error.code, "address_not_available");
    assert.equal(error.message, `Cannot listen on unix:${path}: no such folder`);
  });

  it("leaves a file alone that is no socket", async () => {
    const path = await temporaryPath("plain.txt", "precious");
    const error = await listenError(listen({ kind: "unix", path }, () => {}));
    assert.equal(error.code, "address_in_use");
    assert.equal(existsSync(path), true);
  });
});

describe("listen on an inherited descriptor", () => {
  it("accepts what the parent's socket gets, also after the parent closed it", async (t) => {
    const parent = await listen(LOOPBACK, () => assert.fail("the parent accepts nothing"));
    const target = { ...LOOPBACK, port: parent.address.port };
    const fd = listeningDescriptor(target.port);
    if (fd === null) return t.skip("this system does not tell its descriptors");
    const child = spawn(...programCommand("tests/net/programs/listen_fd.ts", "3"), {
      stdio: ["pipe", "pipe", "inherit", fd],
    });
    const told: string = await new Promise((resolve) => child.stdout!.once("data", (chunk) => resolve(String(chunk))));
    await parent.close();
    assert.equal(told.trim(), `127.0.0.1:${target.port}`);
    const socket = await dial(target);
    assert.equal(latin1(await new SocketReader(socket).readAll()), "hello from the child");
    socket.reset();
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.stdin!.end();
    assert.equal(await exited, 0);
  });

  it("rejects when the descriptor is no listening socket", async () => {
    const error = await listenError(listen({ kind: "fd", fd: 987 }, () => {}));
    assert.match(error.message, /^Cannot listen on fd:987: /);
  });
});
