import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { type DialOptions, type DialTarget, SocketError } from "../../src/net/mod.ts";
import { dialWebSocket, HandshakeError, type WebSocketDialOptions } from "../../src/websocket/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { type Script, type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import { ScriptedSocket } from "./scripted_socket.ts";

function acceptOf(head: string): string {
  const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(head)![1];
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** Answers the handshake with a 101 of the given field lines; `ACCEPT` stands for the right value. */
function accepting(lines: string, behind = ""): Script {
  return async (peer) => {
    const head = await peer.readHead();
    peer.send(`HTTP/1.1 101 Switching Protocols\r\n${lines.replace("ACCEPT", acceptOf(head))}\r\n${behind}`);
    await peer.gone();
  };
}

const SCRIPTED: DialTarget = { kind: "unix", path: "scripted" };
const UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
const ACCEPT = "Sec-WebSocket-Accept: ACCEPT\r\n";

async function withServer(script: Script, run: (target: DialTarget, server: ScriptedServer) => Promise<void>) {
  const server = await ScriptedServer.start(script);
  try {
    await run(server.target, server);
  } finally {
    await server.close();
  }
}

function dialTo(target: DialTarget, options: Partial<WebSocketDialOptions> = {}) {
  return dialWebSocket({ target, authority: "edge.example", path: "/agent", ...options });
}

async function handshakeError(dialing: Promise<unknown>): Promise<HandshakeError> {
  const error = await dialing.then(() => null, (error) => error);
  assert.ok(error instanceof HandshakeError, `error is ${error}`);
  return error;
}

function silent(peer: ScriptedPeer): Promise<void> {
  return peer.gone();
}

describe("dialWebSocket", () => {
  it("dialWebSocket gives socket, rest, fields and protocol when the server accepts", async () => {
    let head = "";
    const lines = `${UPGRADE}${ACCEPT}Sec-WebSocket-Protocol: runnel.v2\r\nRunnel-Session: 7\r\n`;
    const script: Script = async (peer) => {
      const accept = accepting(lines, "\x82\x01A");
      await accept(Object.assign(peer, { readHead: async () => head = await peer.readUntil("\r\n\r\n") }));
    };
    await withServer(script, async (target) => {
      const fields = ["Authorization", "Bearer t"];
      const dialed = await dialTo(target, { path: "/agent?x=1", fields, protocols: ["runnel.v2", "b"] });
      assert.match(head, /^GET \/agent\?x=1 HTTP\/1\.1\r\nHost: edge\.example\r\n/);
      assert.match(head, /\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n/);
      assert.match(head, /\r\nSec-WebSocket-Protocol: runnel\.v2, b\r\nAuthorization: Bearer t\r\n/);
      assert.match(head, /\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n/);
      assert.equal(dialed.protocol, "runnel.v2");
      assert.deepEqual(dialed.fields.slice(-2), ["Runnel-Session", "7"]);
      const reader = new SocketReader(dialed.socket);
      const behind = latin1(dialed.rest) + latin1(await reader.read(3 - dialed.rest.length));
      assert.equal(behind, "\x82\x01A");
      dialed.socket.reset();
    });
  });

  it("dialWebSocket leaves a paused socket, no timer and no listener behind when the server accepts", async () => {
    const clock = new FakeClock();
    const socket = new ScriptedSocket();
    const signal = new AbortController().signal;
    let listeners = 0;
    signal.addEventListener = () => void listeners++;
    signal.removeEventListener = () => void listeners--;
    const dialing = dialTo(SCRIPTED, { clock, signal, dial: () => Promise.resolve(socket) });
    await eventually(() => !socket.paused);
    assert.deepEqual([clock.pending, listeners], [1, 1]);
    socket.feed(bytesOf(`HTTP/1.1 101 \r\n${UPGRADE}Sec-WebSocket-Accept: ${acceptOf(latin1(socket.output))}\r\n\r\n`));
    assert.equal((await dialing).socket, socket);
    assert.deepEqual([socket.paused, clock.pending, listeners, socket.closed], [true, 0, 0, false]);
  });

  it("dialWebSocket counts the time of the dial when the handshake takes long, too", async () => {
    const clock = new FakeClock();
    const socket = new ScriptedSocket();
    const dial = (_target: DialTarget, options: DialOptions) => {
      assert.equal(options.timeoutMs, 700);
      clock.advance(500);
      return Promise.resolve(socket);
    };
    const failed = handshakeError(dialTo(SCRIPTED, { clock, dial, timeoutMs: 700 }));
    await eventually(() => !socket.paused);
    clock.advance(200);
    assert.equal((await failed).code, "handshake_timeout");
  });

  it("dialWebSocket asks with a new key when it is called again", async () => {
    const keys = new Set<string>();
    const script: Script = async (peer) => {
      keys.add(/^Sec-WebSocket-Key: (.*)\r$/m.exec(await peer.readHead())![1]);
      peer.end();
    };
    await withServer(script, async (target) => {
      for (let i = 0; i < 3; i++) assert.equal((await handshakeError(dialTo(target))).code, "handshake_lost");
      assert.equal(keys.size, 3);
    });
  });

  it("dialWebSocket passes interim answers over when they come before the 101", async () => {
    const script: Script = async (peer) => {
      const head = await peer.readHead();
      await peer.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 \r\n\r\n");
      peer.send(`HTTP/1.1 101 \r\n${UPGRADE}Sec-WebSocket-Accept: ${acceptOf(head)}\r\n\r\n`);
      await peer.gone();
    };
    await withServer(script, async (target) => {
      const { socket, protocol } = await dialTo(target, { protocols: ["a"] });
      assert.equal(protocol, null);
      socket.reset();
    });
  });

  const invalid: [string, string, RegExp][] = [
    ["the accept value is missing", UPGRADE, /Accept stands 0 times/],
    ["the accept value is wrong", `${UPGRADE}Sec-WebSocket-Accept: AAAA\r\n`, /does not fit the key/],
    ["the accept value stands twice", `${UPGRADE}${ACCEPT}${ACCEPT}`, /Accept stands 2 times/],
    ["the upgrade is missing", ACCEPT, /does not upgrade/],
    ["the upgrade is another", `Upgrade: tls\r\nConnection: Upgrade\r\n${ACCEPT}`, /does not upgrade/],
    ["an extension comes", `${UPGRADE}${ACCEPT}Sec-WebSocket-Extensions: x\r\n`, /extension that was not offered: x/],
    ["another protocol comes", `${UPGRADE}${ACCEPT}Sec-WebSocket-Protocol: c\r\n`, /protocol that was not offered: c/],
    [
      "two protocols come",
      `${UPGRADE}${ACCEPT}Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n`,
      /protocol that was not offered: a, b/,
    ],
  ];
  for (const [name, lines, reason] of invalid) {
    it(`dialWebSocket rejects with handshake_invalid when ${name}`, async () => {
      await withServer(accepting(lines), async (target, server) => {
        const error = await handshakeError(dialTo(target, { protocols: ["a", "b"] }));
        assert.equal(error.code, "handshake_invalid");
        assert.equal(error.status, 101);
        assert.equal(error.retryable, false);
        assert.match(error.reason, reason);
        await (await server.peer(0)).gone();
      });
    });
  }

  it("dialWebSocket rejects with handshake_invalid when the answer is no HTTP", async () => {
    const script: Script = async (peer) => {
      await peer.readHead();
      peer.send("SSH-2.0-OpenSSH_9.9\r\n");
      await peer.gone();
    };
    await withServer(script, async (target) => {
      const error = await handshakeError(dialTo(target));
      assert.deepEqual([error.code, error.status, error.fields], ["handshake_invalid", null, []]);
    });
  });

  const refusals: [string, string, number, string, boolean][] = [
    ["has a length", "HTTP/1.1 401 No\r\nContent-Length: 5\r\nX-A: 1\r\n\r\ntoken", 401, "token", false],
    [
      "is chunked",
      "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3\r\nbus\r\n1\r\ny\r\n0\r\n\r\n",
      503,
      "busy",
      true,
    ],
    ["has none", "HTTP/1.1 302 Moved\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n", 302, "", false],
    ["is broken", "HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3\r\nbus\r\n!", 429, "bus", true],
  ];
  for (const [name, answer, status, body, retryable] of refusals) {
    it(`dialWebSocket rejects with status, fields and body when the refusal's body ${name}`, async () => {
      await withServer(async (peer) => {
        await peer.readHead();
        peer.send(answer);
        await peer.gone();
      }, async (target) => {
        const error = await handshakeError(dialTo(target));
        assert.equal(error.code, "handshake_refused");
        assert.equal(error.reason, `The server answered the WebSocket handshake with ${status}`);
        assert.deepEqual([error.status, error.retryable, latin1(error.body)], [status, retryable, body]);
        assert.deepEqual(error.fields.slice(-2), ["X-A", "1"]);
      });
    });
  }

  it("dialWebSocket keeps 4,096 bytes of the body when a refusal goes on for ever", async () => {
    await withServer(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 200 OK\r\n\r\n" + "x".repeat(50_000));
      await peer.gone();
    }, async (target, server) => {
      const error = await handshakeError(dialTo(target));
      assert.deepEqual([error.status, latin1(error.body)], [200, "x".repeat(4_096)]);
      await (await server.peer(0)).gone();
    });
  });

  it("dialWebSocket rejects with what came of a refusal when its body ends with the connection", async () => {
    await withServer(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 400 Bad\r\n\r\nno");
      peer.end();
    }, async (target) => {
      const error = await handshakeError(dialTo(target));
      assert.deepEqual([error.status, latin1(error.body)], [400, "no"]);
    });
  });

  it("dialWebSocket rejects with handshake_timeout when no answer comes", async () => {
    const clock = new FakeClock();
    await withServer(silent, async (target, server) => {
      const failed = handshakeError(dialTo(target, { clock, timeoutMs: 700 }));
      const peer = await server.peer(0);
      await peer.readHead();
      clock.advance(699);
      assert.equal(peer.closed, false);
      clock.advance(1);
      const error = await failed;
      assert.deepEqual([error.code, error.retryable], ["handshake_timeout", true]);
      assert.match(error.reason, /within 700 ms/);
      await peer.gone();
      assert.equal(clock.pending, 0);
    });
  });

  it("dialWebSocket rejects with the refusal when its body does not end in time", async () => {
    const clock = new FakeClock();
    const socket = new ScriptedSocket();
    const failed = handshakeError(dialTo(SCRIPTED, { clock, dial: () => Promise.resolve(socket), timeoutMs: 700 }));
    await eventually(() => !socket.paused);
    socket.feed(bytesOf("HTTP/1.1 403 No\r\nContent-Length: 50\r\n\r\nnever"));
    clock.advance(700);
    const error = await failed;
    assert.deepEqual([error.status, latin1(error.body)], [403, "never"]);
    assert.equal(socket.wasReset, true);
  });

  it("dialWebSocket rejects with aborted when its signal aborts before, during or after the dial", async () => {
    await withServer(silent, async (target, server) => {
      const before = await dialTo(target, { signal: AbortSignal.abort() }).catch((error) => error);
      assert.ok(before instanceof SocketError);
      assert.equal(before.code, "aborted");
      const controller = new AbortController();
      const failed = dialTo(target, { signal: controller.signal }).catch((error) => error);
      const peer = await server.peer(0);
      await peer.readHead();
      const why = new Error("stopping");
      controller.abort(why);
      const error = await failed;
      assert.ok(error instanceof SocketError);
      assert.deepEqual([error.code, error.initiator, error.cause], ["aborted", "user", why]);
      await peer.gone();
    });
  });

  it("dialWebSocket rejects with the dial's own error when nobody listens", async () => {
    const server = await ScriptedServer.start(silent);
    await server.close();
    const error = await dialTo(server.target).catch((error) => error);
    assert.ok(error instanceof SocketError);
    assert.equal(error.code, "connection_refused");
  });

  it("dialWebSocket rejects before it dials when a field cannot be written", async () => {
    await withServer(silent, async (target, server) => {
      const error = await dialTo(target, { fields: ["X-A", "a\r\nB: c"] }).catch((error) => error);
      assert.equal(error.code, "invalid_head");
      assert.equal(server.peers.length, 0);
    });
  });
});
