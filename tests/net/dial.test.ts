import { after, describe, it } from "node:test";
import assert from "node:assert/strict";
import type { Clock } from "../../src/base/clock.ts";
import { dial, type DialTarget, isLoopback, listen, SocketError, type SocketErrorCode } from "../../src/net/mod.ts";
import {
  bytesOf,
  eventually,
  latin1,
  missingIPv6,
  removeTemporaryFolders,
  SocketReader,
  startTcpServer,
  temporaryPath,
} from "../support/net.ts";

async function rejectsWith(dialing: Promise<unknown>, code: SocketErrorCode, reason: string | RegExp): Promise<void> {
  await assert.rejects(dialing, (error) => {
    assert.ok(error instanceof SocketError, String(error));
    assert.equal(error.code, code);
    if (typeof reason === "string") assert.equal(error.message, reason);
    else assert.match(error.message, reason);
    return true;
  });
}

/** A clock whose one timer fires when the test says so. */
class HandClock implements Clock {
  delayMs = 0;
  canceled = false;
  fire: () => void = () => {};

  now(): number {
    return 0;
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    this.delayMs = delayMs;
    this.fire = callback;
    return { cancel: () => this.canceled = true };
  }
}

async function freePort(): Promise<number> {
  const server = await startTcpServer();
  await server.close();
  return server.port;
}

describe("dial", () => {
  it("connects to a name by whichever of its addresses answers", async () => {
    const server = await startTcpServer();
    const socket = await dial({ kind: "tcp", host: "localhost", port: server.port });
    assert.equal(socket.remote.port, server.port);
    socket.reset();
    await server.close();
  });

  for (const host of ["localhost", "LocalHost", "localhost.", "app.localhost", "a.b.localhost"]) {
    it(`connects to ${host} on ::1 when nothing listens on 127.0.0.1`, { skip: missingIPv6 }, async () => {
      const listener = await listen({ kind: "tcp", host: "::1", port: 0 }, (socket) => socket.end());
      const socket = await dial({ kind: "tcp", host, port: listener.address.port });
      assert.equal(socket.remote.host, "::1");
      socket.reset();
      await listener.close();
    });

    it(`connects to ${host} on 127.0.0.1 when nothing listens on ::1`, async () => {
      const server = await startTcpServer();
      const socket = await dial({ kind: "tcp", host, port: server.port });
      assert.equal(socket.remote.host, "127.0.0.1");
      socket.reset();
      await server.close();
    });
  }

  it("connects to localhost on 127.0.0.1 when both addresses answer", { skip: missingIPv6 }, async () => {
    const listener = await listen({ kind: "tcp", host: "::", port: 0 }, (socket) => socket.end());
    const socket = await dial({ kind: "tcp", host: "localhost", port: listener.address.port });
    assert.equal(socket.remote.host, "127.0.0.1");
    socket.reset();
    await listener.close();
  });

  it("looks a name up when it only ends like localhost", async () => {
    const target: DialTarget = { kind: "tcp", host: "notlocalhost.invalid", port: 80 };
    await rejectsWith(dial(target, { timeoutMs: 30_000 }), "host_not_found", /notlocalhost\.invalid/);
    for (const host of ["localhost.example", "mylocalhost", "localhost.."]) assert.equal(isLoopback(host), false, host);
  });

  it("connects to an IPv6 address", { skip: missingIPv6 }, async () => {
    const listener = await listen({ kind: "tcp", host: "::1", port: 0 }, (socket) => socket.end());
    const socket = await dial({ kind: "tcp", host: "::1", port: listener.address.port });
    assert.equal(socket.remote.host, "::1");
    await new SocketReader(socket).ended;
    socket.end();
    await listener.close();
  });

  it("rejects with connection_refused when nobody listens", async () => {
    const port = await freePort();
    const reason = `Cannot connect to 127.0.0.1:${port}: connection refused`;
    await rejectsWith(dial({ kind: "tcp", host: "127.0.0.1", port }), "connection_refused", reason);
  });

  it("rejects with connection_refused when no address of a name answers", async () => {
    const port = await freePort();
    const reason = `Cannot connect to localhost:${port}: connection refused`;
    await rejectsWith(dial({ kind: "tcp", host: "localhost", port }), "connection_refused", reason);
  });

  it("rejects with host_not_found when the name has no address", async () => {
    const target: DialTarget = { kind: "tcp", host: "no-such-host.invalid", port: 80 };
    await rejectsWith(
      dial(target, { timeoutMs: 30_000 }),
      "host_not_found",
      /^Cannot connect to no-such-host.invalid:80: /,
    );
  });

  it("rejects with connect_timeout when the time is over, and leaves no connection", async () => {
    const server = await startTcpServer((socket) => new SocketReader(socket));
    const clock = new HandClock();
    const dialing = dial(server.target, { timeoutMs: 1234 }, clock);
    assert.equal(clock.delayMs, 1234);
    clock.fire();
    await rejectsWith(
      dialing,
      "connect_timeout",
      `Cannot connect to 127.0.0.1:${server.port}: no answer within 1234 ms`,
    );
    await eventually(() => server.sockets.every((socket) => socket.closed || new SocketReader(socket).sawEnd));
    await server.close();
  });

  it("waits 5 seconds by default, and ends its timer when it connects", async () => {
    const server = await startTcpServer();
    const clock = new HandClock();
    const socket = await dial(server.target, {}, clock);
    assert.equal(clock.delayMs, 5_000);
    assert.equal(clock.canceled, true);
    socket.reset();
    await server.close();
  });

  it("rejects with aborted when its signal was, is, and ignores it once connected", async () => {
    const server = await startTcpServer();
    const reason = `Cannot connect to 127.0.0.1:${server.port}: aborted`;
    await rejectsWith(dial(server.target, { signal: AbortSignal.abort() }), "aborted", reason);

    const during = new AbortController();
    const dialing = dial(server.target, { signal: during.signal });
    during.abort();
    await rejectsWith(dialing, "aborted", reason);

    const after = new AbortController();
    const socket = await dial(server.target, { signal: after.signal });
    after.abort();
    const reader = new SocketReader(server.sockets.at(-1)!);
    socket.write(bytesOf("alive"));
    assert.equal(await reader.readUntil("alive"), "alive");
    socket.reset();
    await server.close();
  });

  it("names the system's error as the cause", async () => {
    const port = await freePort();
    const error = await dial({ kind: "tcp", host: "127.0.0.1", port }).then(() => null, (error) => error);
    assert.ok(error.cause instanceof Error);
    assert.equal(error.initiator, "remote");
    assert.equal(error.retryable, true);
  });
});

describe("dial to a unix socket", () => {
  after(removeTemporaryFolders);

  it("carries bytes and ends like TCP", async () => {
    const path = await temporaryPath("app.sock");
    const listener = await listen({ kind: "unix", path }, (socket) => {
      socket.handlers = {
        onData: (chunk) => void socket.write(chunk),
        onEnd: () => socket.end(),
        onDrain() {},
        onClose() {},
      };
      socket.resume();
    });
    assert.deepEqual(listener.address, { kind: "unix", host: path, port: 0 });
    const socket = await dial({ kind: "unix", path });
    assert.deepEqual(socket.remote, { kind: "unix", host: path, port: 0 });
    const reader = new SocketReader(socket);
    socket.write(bytesOf("ping"));
    socket.end();
    assert.equal(latin1(await reader.readAll()), "ping");
    assert.equal(await reader.closed, null);
    await listener.close();
  });

  it("breaks the connection at reset", async () => {
    const path = await temporaryPath("app.sock");
    const readers: SocketReader[] = [];
    const listener = await listen({ kind: "unix", path }, (socket) => readers.push(new SocketReader(socket)));
    const socket = await dial({ kind: "unix", path });
    const reader = new SocketReader(socket);
    await eventually(() => readers.length === 1);
    socket.reset();
    assert.equal(await reader.closed, null);
    await eventually(() => readers[0].sawEnd || readers[0].sawClose);
    readers[0].socket.reset();
    await listener.close();
  });

  it("rejects with connection_refused when the file is missing", async () => {
    const path = await temporaryPath("none.sock");
    const reason = `Cannot connect to unix:${path}: no such socket file`;
    await rejectsWith(dial({ kind: "unix", path }), "connection_refused", reason);
  });
});
