import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import type { Answer } from "../../../src/http/message.ts";
import { HttpServer } from "../../../src/http1/server/server.ts";
import { connectPair, eventually, latin1 } from "../../support/net.ts";
import { always, echoTarget, GET, RawClient, ServerStage, silent } from "./server_stage.ts";
import { FedBody } from "../../support/client_requests.ts";

const EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const EMPTY_CLOSE = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

function codeOf(signal: CancelSignal): string | undefined {
  return (signal.reason as { code?: string } | undefined)?.code;
}

describe("HttpServer: options that fail", () => {
  it("HttpServer answers 500 and tells onError when a callback throws", async () => {
    const failure = new Error("out of ids");
    const nextId = () => {
      throw failure;
    };
    await ServerStage.run(always(200), { nextId }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 500 [^]*Connection: close/);
      assert.deepEqual(stage.errors, [failure]);
      assert.equal(stage.asked.length, 0);
    });
  });
});

describe("HttpServer: drain and close", () => {
  it("HttpServer.drain closes idle connections and resolves when nothing runs", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect(EMPTY);
      const drained = stage.server.drain();
      await client.expectEnd();
      client.socket.end();
      await drained;
      assert.equal(stage.server.connections, 0);
      await stage.server.drain();
    });
  });

  it("HttpServer.drain finishes what runs, announces the close, and waits lingerMs for the client", async () => {
    let answer = (_: Answer) => {};
    await ServerStage.run(() => new Promise((resolve) => answer = resolve), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await stage.called();
      const drained = stage.server.drain();
      assert.equal(stage.asked[0].signal.aborted, false);
      answer({ status: 200, fields: [], body: null });
      await client.expectEnd(EMPTY_CLOSE);
      assert.equal(stage.server.connections, 1);
      stage.clock.advance(5_000);
      await drained;
    });
  });

  it("HttpServer.drain closes behind an answer whose head promised more", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const drained = stage.server.drain();
      source.push("x");
      source.end();
      await client.expectEnd("1\r\nx\r\n0\r\n\r\n");
      client.socket.end();
      await drained;
    });
  });

  it("HttpServer.drain serves a head that has begun, and one that comes on a new connection", async () => {
    await ServerStage.run(echoTarget, {}, async (stage) => {
      const begun = await stage.connect();
      begun.send(GET);
      await begun.reader.readUntil("/");
      begun.send("GET /begun HTTP/1.1\r\n");
      await stage.received(GET.length + 21);
      const drained = stage.server.drain();
      const late = await stage.connect();
      late.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
      begun.send("Host: a\r\n\r\n");
      assert.match(await late.reader.readUntil("/late"), /Connection: close/);
      assert.match(await begun.reader.readUntil("/begun"), /Connection: close/);
      begun.socket.end();
      late.socket.end();
      await drained;
    });
  });

  it("HttpServer.drain answers a request that comes within drainIdleMs, and announces the close", async () => {
    await ServerStage.run(always(200), { drainIdleMs: 3_000 }, async (stage) => {
      const used = await stage.connect();
      const fresh = await stage.connect();
      used.send(GET);
      await used.expect(EMPTY);
      await eventually(() => stage.server.connections === 2);
      const drained = stage.server.drain();
      stage.clock.advance(2_999);
      for (const client of [used, fresh]) {
        // The head's time begins with its first byte.
        client.send("GET / HTTP/1.1\r\n");
      }
      await stage.received(GET.length + 2 * 16);
      stage.clock.advance(9_999);
      for (const client of [used, fresh]) {
        client.send("Host: a\r\n\r\n");
        await client.expectEnd(EMPTY_CLOSE);
        client.socket.end();
      }
      await drained;
    });
  });

  it("HttpServer.drain closes a connection that stays idle for drainIdleMs", async () => {
    await ServerStage.run(always(200), { drainIdleMs: 3_000 }, async (stage) => {
      const clients = [await stage.connect(), await stage.connect()];
      clients[0].send(GET);
      await clients[0].expect(EMPTY);
      await eventually(() => stage.server.connections === 2);
      const drained = stage.server.drain();
      stage.clock.advance(2_999);
      assert.ok(clients.every(({ reader }) => !reader.sawEnd));
      stage.clock.advance(1);
      for (const client of clients) {
        await client.expectEnd();
        client.socket.end();
      }
      await drained;
    });
  });

  it("HttpServer.drain waits drainIdleMs behind an answer whose head promised more", async () => {
    const source = new FedBody();
    const handler = (head: { target: string }) =>
      Promise.resolve({ status: 200, fields: [], body: head.target === "/s" ? source.stream : null });
    await ServerStage.run(handler, { drainIdleMs: 3_000 }, async (stage) => {
      const clients = [await stage.connect(), await stage.connect()];
      clients[0].send("GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
      await clients[0].expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const drained = stage.server.drain();
      stage.clock.advance(60_000);
      source.push("x");
      source.end();
      await clients[0].expect("1\r\nx\r\n0\r\n\r\n");
      stage.clock.advance(2_999);
      clients[0].send(GET);
      await clients[0].expectEnd(EMPTY_CLOSE);
      for (const { socket } of clients) socket.end();
      await drained;
    });
  });

  it("HttpServer.drain with drainIdleMs answers one of the requests that were read ahead, and no more", async () => {
    await ServerStage.run(always(200), { drainIdleMs: 3_000 }, async (stage) => {
      const client = await stage.connect();
      client.send(GET.repeat(100));
      await eventually(() => stage.asked.length > 0);
      const drained = stage.server.drain();
      const text = latin1(await client.reader.readAll());
      assert.ok(text.endsWith(EMPTY_CLOSE));
      assert.equal(text.split("Connection: close").length, 2);
      client.socket.end();
      await drained;
    });
  });

  it("HttpServer.close resets every connection and aborts what runs", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const clients = [await stage.connect(), await stage.connect()];
      clients[0].send(GET);
      const { signal } = await stage.called();
      await eventually(() => stage.server.connections === 2);
      const drained = stage.server.drain();
      stage.server.close();
      assert.equal(stage.server.connections, 0);
      assert.equal(codeOf(signal), "server_closed");
      await clients[0].expectReset();
      await drained;
      await stage.expectRefusal();
    });
  });

  it("HttpServer resets a client when there are maxConnections already", async () => {
    await ServerStage.run(always(200), { maxConnections: 2 }, async (stage) => {
      const clients = [await stage.connect(), await stage.connect()];
      for (const client of clients) {
        client.send(GET);
        await client.expect(EMPTY);
      }
      await stage.expectRefusal();
      clients[0].socket.reset();
      await eventually(() => stage.server.connections === 1);
      const next = await stage.connect();
      next.send(GET);
      await next.expect(EMPTY);
    });
  });

  it("HttpServer serves on the system's clock with its defaults when it is told nothing", async () => {
    const server = new HttpServer(echoTarget);
    const [dialed, accepted] = await connectPair();
    const client = new RawClient(dialed);
    server.accept(accepted, new TextEncoder().encode("GET /first HTTP/1.1\r\n"));
    client.send("Host: a\r\n\r\n");
    await client.expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n/first");
    server.close();
    await client.expectReset();
  });

  it("HttpServer throws when an option is out of its range", () => {
    const bad = {
      headTimeoutMs: 0,
      keepAliveMs: -1,
      bodyIdleMs: NaN,
      lingerMs: 2 ** 31,
      lingerTotalMs: -1,
      lingerBytes: 0.5,
      pipelineBytes: 0,
    };
    for (const [name, value] of Object.entries({ ...bad, maxConnections: 0 })) {
      assert.throws(() => new HttpServer(silent, { [name]: value }), {
        code: "invalid_option",
        message: new RegExp(`^The option ${name} is ${value}, not a whole number from `),
      });
    }
    assert.throws(() => new HttpServer(silent, { scheme: "ftp" as "http" }), /scheme is "ftp"/);
    assert.throws(() => new HttpServer(silent, { limits: { fieldCount: 0 } }), { code: "invalid_option" });
  });
});
