import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { dial, type Socket, SocketError, startTls, type TlsOptions } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import {
  bytesOf,
  eventually,
  fillUntilStalled,
  latin1,
  openDescriptors,
  SocketReader,
  startTcpServer,
} from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { acceptTls, pem, startTlsServer, type TlsServerOptions, trusted } from "../support/tls.ts";

/** Dials a server with these options; the answer is what it says to everyone. */
async function greeting(tls: TlsOptions, options: TlsServerOptions = {}, host = "127.0.0.1"): Promise<string> {
  const server = await startTlsServer((socket) => {
    socket.write(bytesOf("hello"));
    socket.end();
  }, options);
  try {
    const reader = new SocketReader(await dial({ ...server.target, host, tls }));
    return latin1(await reader.readAll());
  } finally {
    await server.close();
  }
}

async function failure(dialing: Promise<unknown>): Promise<SocketError> {
  const error = await dialing.then(() => null, (error) => error);
  assert.ok(error instanceof SocketError, String(error));
  return error;
}

describe("dial with TLS", () => {
  it("carries bytes both ways when the certificate is for the host", async () => {
    assert.equal(await greeting(trusted), "hello");
    assert.equal(await greeting(trusted, {}, "localhost"), "hello");
  });

  it("speaks TLS 1.2 when the server knows no better", async () => {
    assert.equal(await greeting(trusted, { maxVersion: "TLSv1.2" }), "hello");
  });

  it("asks for the host, or for the name that is given, and for no address", async () => {
    const names: string[] = [];
    const onName = (name: string) => names.push(name);
    await greeting(trusted, { onName }, "localhost");
    await greeting({ ...trusted, serverName: "edge.test" }, { onName });
    await greeting(trusted, { onName });
    assert.deepEqual(names, ["localhost", "edge.test", ""]);
  });

  const refused: [string, TlsServerOptions, TlsOptions, RegExp][] = [
    ["has expired", { certificate: "expired" }, trusted, /its certificate expired on 2024-01-02$/],
    ["is self-signed", { certificate: "self_signed" }, trusted, /its certificate is self-signed$/],
    ["is for another name", { certificate: "other_name" }, trusted, /is not for 127\.0\.0\.1, but for other\.test$/],
    ["is not for the name", {}, { ...trusted, serverName: "x.test" }, /is not for x\.test, but for localhost, edge\.t/],
    ["has an unknown authority", {}, {}, /its certificate is signed by an unknown authority$/],
    ["has another authority", {}, { ca: pem("self_signed") }, /its certificate is signed by an unknown authority$/],
  ];
  for (const [what, options, tls, reason] of refused) {
    it(`rejects with tls_failed when the certificate ${what}`, async () => {
      const server = await startTlsServer(() => {}, options);
      const error = await failure(dial({ ...server.target, tls }));
      assert.equal(error.code, "tls_failed");
      assert.equal(error.retryable, false);
      assert.ok(error.message.startsWith(`Cannot connect to 127.0.0.1:${server.port}: `), error.message);
      assert.match(error.message, reason);
      await server.close();
    });
  }

  it("takes any certificate when it is told to be insecure", async () => {
    for (const certificate of ["expired", "self_signed", "other_name", "server"] as const) {
      assert.equal(await greeting({ insecure: true }, { certificate }), "hello");
    }
  });

  it("takes a self-signed certificate when it was given", async () => {
    assert.equal(await greeting({ ca: pem("self_signed") }, { certificate: "self_signed" }), "hello");
  });

  it("rejects with tls_failed when the given authority is none", async () => {
    const broken = pem("authority").replace(/\n[A-Za-z0-9+/]{64}/, "\nAAAA");
    for (const ca of ["", "nonsense", broken, pem("authority").slice(0, 300)]) {
      const server = await startTcpServer();
      const error = await failure(
        dial({ ...server.target, tls: { ca } }),
      );
      assert.equal(error.code, "tls_failed");
      assert.match(error.message, /certificate/);
      await server.close();
    }
  });

  it("rejects with tls_failed when the other end does not speak TLS", async () => {
    const server = await startTcpServer((socket) => socket.write(bytesOf("HTTP/1.1 400 Bad Request\r\n\r\n")));
    const error = await failure(dial({ ...server.target, tls: trusted }));
    assert.equal(error.code, "tls_failed");
    assert.equal(error.message, `Cannot connect to 127.0.0.1:${server.port}: the other end does not speak TLS`);
    await server.close();
  });

  it("rejects when the other end goes away in the handshake", async () => {
    for (const leave of [(socket: Socket) => socket.end(), (socket: Socket) => socket.reset()]) {
      const server = await startTcpServer((socket) => {
        const reader = new SocketReader(socket);
        void reader.read(1).then(() => leave(socket));
      });
      const error = await failure(dial({ ...server.target, tls: trusted }));
      assert.equal(error.code, "connection_reset");
      assert.match(error.message, /: the connection ended in the TLS handshake$/);
      await server.close();
    }
  });

  it("rejects with connect_timeout when the handshake takes too long, and hangs up", async () => {
    const readers: SocketReader[] = [];
    const server = await startTcpServer((socket) => readers.push(new SocketReader(socket)));
    const clock = new FakeClock();
    const dialing = failure(dial({ ...server.target, tls: trusted }, { timeoutMs: 1_000 }, clock));
    await eventually(() => readers.length === 1 && readers[0].receivedBytes > 0);
    clock.advance(999);
    assert.equal(clock.pending, 1);
    clock.advance(1);
    const error = await dialing;
    assert.equal(error.code, "connect_timeout");
    assert.match(error.message, /no answer within 1000 ms$/);
    assert.equal((await readers[0].closed)?.code, "connection_reset");
    assert.equal(clock.pending, 0);
    await server.close();
  });

  it("rejects with aborted when its signal aborts in the handshake, and ignores it afterwards", async () => {
    const server = await startTcpServer((socket) => new SocketReader(socket));
    const abort = new AbortController();
    const dialing = failure(dial({ ...server.target, tls: trusted }, { signal: abort.signal }));
    await eventually(() => server.sockets.length === 1);
    abort.abort();
    assert.equal((await dialing).code, "aborted");
    await server.close();

    const echo = await startTlsServer((socket) => socket.write(bytesOf("alive")));
    const later = new AbortController();
    const socket = await dial({ ...echo.target, tls: trusted }, { signal: later.signal });
    later.abort();
    assert.equal(await new SocketReader(socket).readUntil("alive"), "alive");
    socket.reset();
    await echo.close();
  });
});

describe("startTls", () => {
  it("rejects at once when the socket has closed already", async () => {
    const server = await startTcpServer();
    const raw = await dial(server.target);
    raw.reset();
    const error = await failure(startTls(raw, { ...server.target, tls: trusted }, { timeoutMs: 5_000 }));
    assert.equal(error.code, "connection_reset");
    await server.close();
  });

  /** A socket with TLS whose peer has said "hello" and closed, all of which came while it was paused. */
  async function closedWhilePaused(use: (socket: Socket, raw: Socket) => Promise<void>): Promise<void> {
    const server = await startTlsServer((socket) => {
      socket.write(bytesOf("hello"));
      socket.end();
    });
    const raw = await dial(server.target);
    raw.pause = () => {};
    const socket = await startTls(raw, { ...server.target, tls: trusted }, { timeoutMs: 5_000 });
    socket.end();
    await eventually(() => raw.closed);
    assert.equal(socket.closed, false);
    await use(socket, raw);
    await server.close();
  }

  it("gives the owner what came while it was paused when the socket under it has closed meanwhile", () =>
    closedWhilePaused(async (socket) => {
      const reader = new SocketReader(socket);
      assert.equal(reader.receivedBytes, 0);
      assert.equal(latin1(await reader.readAll()), "hello");
      assert.equal(await reader.closed, null);
      assert.equal(socket.closed, true);
    }));

  it("gives the owner onClose alone when it resets what has closed already", () =>
    closedWhilePaused(async (socket) => {
      const reader = new SocketReader(socket, { paused: true });
      socket.reset();
      assert.equal(await reader.closed, null);
      assert.equal(reader.receivedBytes, 0);
      assert.equal(reader.sawEnd, false);
    }));

  it("leaves no descriptor when many handshakes fail", async () => {
    const server = await startTlsServer(() => {}, { certificate: "expired" });
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      const dials = Array.from({ length: 10 }, () => failure(dial({ ...server.target, tls: trusted })));
      for (const error of await Promise.all(dials)) assert.equal(error.code, "tls_failed");
    }
    await eventually(() => openDescriptors()! <= before! + 2);
    await server.close();
  });

  it("speaks TLS within TLS when the socket has it already", async () => {
    const server = await startTlsServer(async (outer) => {
      const inner = await acceptTls(outer);
      const reader = new SocketReader(inner);
      inner.write(await reader.read(5));
      inner.end();
    });
    const outer = await dial({ ...server.target, tls: trusted });
    const target = { kind: "tcp", host: "edge.test", port: 443, tls: trusted } as const;
    const inner = await startTls(outer, target, { timeoutMs: 5_000 });
    const reader = new SocketReader(inner);
    inner.write(bytesOf("hello"));
    assert.equal(latin1(await reader.readAll()), "hello");
    assert.equal(await reader.closed, null);
    await server.close();
  });
});

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  describe(`Socket with a foreign peer of ${version}`, { skip: missingPeer("node") }, () => {
    const folder = fileURLToPath(new URL("../support/certificates/", import.meta.url));
    const program = fileURLToPath(new URL("programs/tls_peer.mjs", import.meta.url));
    let child: ChildProcess;
    let exited: Promise<unknown>;
    let port = 0;

    before(async () => {
      const args = [program, `${folder}server.pem`, `${folder}server.key`, version];
      child = spawn("node", args, { stdio: ["ignore", "pipe", "inherit"] });
      exited = new Promise((resolve) => child.once("close", resolve));
      child.stdout!.on("data", (text) => port = Number(/port (\d+)/.exec(String(text))?.[1] ?? port));
      await eventually(() => port > 0, { deadlineMs: 20_000 });
    });
    after(async () => {
      child.kill();
      await exited;
    });

    /** A connection on which the peer was told what to do. */
    async function ask(deed: string): Promise<SocketReader> {
      const socket = await dial({ kind: "tcp", host: "127.0.0.1", port, tls: trusted });
      socket.write(bytesOf(deed));
      return new SocketReader(socket);
    }

    it("ends in order when the peer does", async () => {
      for (let round = 0; round < 20; round++) {
        const reader = await ask("end");
        assert.equal(latin1(await reader.readAll()), "hello");
        assert.equal(await reader.closed, null);
      }
    });

    it("breaks when the peer's FIN comes without close_notify", async () => {
      const reader = await ask("cut");
      const error = await reader.closed;
      assert.equal(error?.code, "connection_reset");
      assert.match(error!.message, / was cut short: it ended without close_notify$/);
      assert.equal(reader.sawEnd, false);
      assert.equal(reader.receivedBytes, 5);
    });

    it("breaks when the peer resets", async () => {
      const reader = await ask("reset");
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.sawEnd, false);
    });

    it("reads on after its own end", async () => {
      const reader = await ask("count");
      await eventually(() => reader.socket.bufferedBytes === 0);
      for (let i = 0; i < 5; i++) reader.socket.write(new Uint8Array(1_000_000));
      reader.socket.end();
      assert.equal(latin1(await reader.readAll()), "5000000");
      assert.equal(await reader.closed, null);
    });

    it("stops writing when the peer does not read", async () => {
      const reader = await ask("stall");
      const taken = await fillUntilStalled(reader.socket, 512 << 20);
      assert.ok(taken < 16 << 20, `${taken} bytes were taken by a peer that never read`);
      reader.socket.reset();
      assert.equal(await reader.closed, null);
    });
  });
}
