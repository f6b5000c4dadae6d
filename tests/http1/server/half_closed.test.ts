/** Clients that send FIN behind a whole request and read on, as `nc -N` does. */
import assert from "node:assert/strict";
import * as net from "node:net";
import { describe, it } from "node:test";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import type { Answer, Fields, Handler } from "../../../src/http/message.ts";
import type { HttpServerOptions } from "../../../src/http1/server/options.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";
import { always, chunkedPost, echo, GET, post, type RawClient, ServerStage, silent, whole } from "./server_stage.ts";

function codeOf(signal: CancelSignal): string | undefined {
  return (signal.reason as { code?: string } | undefined)?.code;
}

/** A client that has half-closed behind `request`, and whose FIN the server has read. */
async function halfClosed(stage: ServerStage, request = GET): Promise<RawClient> {
  const client = await stage.connect();
  const before = stage.ends;
  client.send(request);
  client.socket.end();
  await stage.ended(before + 1);
  return client;
}

/** A server whose answer is `source`, and a client that has half-closed and got the head. */
function streaming(
  fields: Fields,
  options: Partial<HttpServerOptions>,
  act: (stage: ServerStage, client: RawClient, source: FedBody, signal: CancelSignal) => Promise<void>,
): Promise<void> {
  const source = new FedBody();
  return ServerStage.run(always(200, fields, source.stream), options, async (stage) => {
    const client = await stage.connect();
    client.send(GET);
    await client.reader.readUntil("\r\n\r\n");
    client.socket.end();
    await stage.ended(1);
    await act(stage, client, source, stage.asked[0].signal);
  });
}

const UPGRADE = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

const live: Fields[] = [["Content-Type", "text/event-stream; charset=utf-8"], ["content-type", "application/x-ndjson"]];

describe("HttpServer: clients that half-close", () => {
  it("HttpServer finishes an answer that flows when FIN comes behind the request", async () => {
    await streaming([], {}, async (stage, client, source, signal) => {
      source.push("hello");
      await client.expect("5\r\nhello\r\n");
      source.end();
      await client.expectEnd("0\r\n\r\n");
      await stage.empty();
      assert.equal(signal.aborted, false);
      assert.deepEqual(stage.errors, []);
    });
  });

  it("HttpServer waits for the answer's head when FIN comes before it", async () => {
    let answer = (_: Answer) => {};
    await ServerStage.run(() => new Promise((resolve) => answer = resolve), {}, async (stage) => {
      const client = await halfClosed(stage);
      stage.clock.advance(3_600_000);
      assert.equal(stage.asked[0].signal.aborted, false);
      const source = new FedBody();
      answer({ status: 200, fields: [], body: source.stream });
      await client.reader.readUntil("\r\n\r\n");
      source.push("x");
      source.end();
      await client.expectEnd("1\r\nx\r\n0\r\n\r\n");
      await stage.empty();
    });
  });

  it("HttpServer answers whole bodies, and uploads that came whole, when FIN is behind them", async () => {
    const handler: Handler = async (_head, body) => {
      const text = await bodyText(body);
      return { status: 200, fields: [], body: new TextEncoder().encode(text) };
    };
    for (const request of [post(5, "hello"), chunkedPost("5\r\nhello\r\n0\r\n\r\n")]) {
      await ServerStage.run(handler, {}, async (stage) => {
        const client = await halfClosed(stage, request);
        await client.expectEnd(whole("hello"));
        await stage.empty();
      });
    }
  });

  it("HttpServer sends until its own FIN when a client of HTTP/1.0 half-closes", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await halfClosed(stage, "GET / HTTP/1.0\r\n\r\n");
      await client.reader.readUntil("\r\n\r\n");
      source.push("to the end");
      source.end();
      await client.expectEnd("to the end");
    });
  });

  it("HttpServer ends the exchange when nothing was written for halfClosedMs", async () => {
    await streaming([], {}, async (stage, client, source, signal) => {
      for (let count = 0; count < 3; count++) {
        stage.clock.advance(29_999);
        assert.equal(signal.aborted, false);
        source.push("x");
        await client.expect("1\r\nx\r\n");
      }
      stage.clock.advance(29_999);
      assert.equal(signal.aborted, false);
      stage.clock.advance(1);
      assert.equal(codeOf(signal), "client_closed");
      await eventually(() => source.canceled === signal.reason);
      await client.expectReset();
      await stage.empty();
      assert.deepEqual(stage.errors, []);
    });
  });

  it("HttpServer counts from the head when FIN came before it", async () => {
    let answer = (_: Answer) => {};
    await ServerStage.run(() => new Promise((resolve) => answer = resolve), { halfClosedMs: 1_000 }, async (stage) => {
      const client = await halfClosed(stage);
      stage.clock.advance(60_000);
      answer({ status: 200, fields: [], body: new FedBody().stream });
      await client.reader.readUntil("\r\n\r\n");
      stage.clock.advance(999);
      assert.equal(stage.asked[0].signal.aborted, false);
      stage.clock.advance(1);
      assert.equal(codeOf(stage.asked[0].signal), "client_closed");
      await client.expectReset();
    });
  });

  it("HttpServer ends the exchange when a client takes nothing of its answer for halfClosedMs", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      client.socket.end();
      await stage.ended(1);
      await eventually(() => {
        source.push(new Uint8Array(1024 * 1024));
        return stage.sockets[0].bufferedBytes > 0;
      });
      stage.clock.advance(30_000);
      assert.equal(codeOf(stage.asked[0].signal), "client_closed");
      await stage.empty();
    });
  });

  for (const fields of live) {
    it(`HttpServer ends the exchange at once when ${fields[1]} flows`, async () => {
      await streaming(fields, {}, async (stage, client, source, signal) => {
        await eventually(() => signal.aborted);
        assert.equal(codeOf(signal), "client_closed");
        await eventually(() => source.canceled === signal.reason);
        await client.expectReset();
        await stage.empty();
      });
    });

    it(`HttpServer ends the exchange with its head when FIN came before ${fields[1]}`, async () => {
      let answer = (_: Answer) => {};
      await ServerStage.run(() => new Promise((resolve) => answer = resolve), {}, async (stage) => {
        const client = await halfClosed(stage);
        assert.equal(stage.asked[0].signal.aborted, false);
        const source = new FedBody();
        answer({ status: 200, fields, body: source.stream });
        await client.expectReset();
        assert.equal(codeOf(stage.asked[0].signal), "client_closed");
        assert.equal(source.canceled, stage.asked[0].signal.reason);
        assert.deepEqual(stage.errors, []);
      });
    });

    it(`HttpServer sends ${fields[1]} when it is whole already`, async () => {
      await ServerStage.run(always(200, fields, "all"), {}, async (stage) => {
        const client = await halfClosed(stage);
        await client.expectEnd(`HTTP/1.1 200 OK\r\n${fields.join(": ")}\r\nContent-Length: 3\r\n\r\nall`);
      });
    });

    it(`HttpServer serves ${fields[1]} on when halfClosedLiveMs says so`, async () => {
      await streaming(fields, { halfClosedLiveMs: 5_000 }, async (stage, client, source, signal) => {
        stage.clock.advance(4_999);
        source.push("x");
        await client.expect("1\r\nx\r\n");
        stage.clock.advance(4_999);
        assert.equal(signal.aborted, false);
        stage.clock.advance(1);
        assert.equal(codeOf(signal), "client_closed");
      });
    });
  }

  it("HttpServer ends the exchange at once when visitors come over TLS", async () => {
    for (const handler of [silent, always(200, [], new FedBody().stream)]) {
      await ServerStage.run(handler, { scheme: "https" }, async (stage) => {
        const client = await halfClosed(stage);
        await eventually(() => codeOf(stage.asked[0].signal) === "client_closed");
        await client.expectReset();
        await stage.empty();
      });
    }
  });

  it("HttpServer ends the exchange at once when a proxy says that visitors come over TLS", async () => {
    const visitor = { client: "203.0.113.9", scheme: "https", isProxied: true, requestId: undefined } as const;
    await ServerStage.run(silent, { visitorOf: () => visitor }, async (stage) => {
      const client = await halfClosed(stage);
      await eventually(() => codeOf(stage.asked[0].signal) === "client_closed");
      await client.expectReset();
      await stage.empty();
    });
  });

  it("HttpServer serves on over TLS when halfClosedTlsMs says so", async () => {
    await streaming([], { scheme: "https", halfClosedTlsMs: 2_000 }, async (stage, client, source, signal) => {
      source.push("x");
      await client.expect("1\r\nx\r\n");
      stage.clock.advance(1_999);
      assert.equal(signal.aborted, false);
      stage.clock.advance(1);
      assert.equal(codeOf(signal), "client_closed");
    });
  });

  it("HttpServer ends the exchange at once when halfClosedMs is 0", async () => {
    for (const handler of [silent, always(200, [], new FedBody().stream)]) {
      await ServerStage.run(handler, { halfClosedMs: 0, halfClosedLiveMs: 9 }, async (stage) => {
        const client = await halfClosed(stage);
        await eventually(() => codeOf(stage.asked[0].signal) === "client_closed");
        await client.expectReset();
      });
    }
  });

  it("HttpServer answers every request when several came before the FIN", async () => {
    const handler: Handler = async (head, body) => {
      const text = `${head.target}${await bodyText(body)}`;
      const source = new FedBody();
      source.push(text);
      source.end();
      return { status: 200, fields: ["Content-Length", String(text.length)], body: source.stream };
    };
    const requests = `${GET}${post(4, "body")}${chunkedPost("1\r\nx\r\n0\r\n\r\n")}${GET.replace("/", "/last")}`;
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await halfClosed(stage, requests);
      await client.expectEnd(["/", "/upbody", "/upx", "/last"].map(whole).join(""));
      await stage.empty();
      assert.ok(stage.asked.every(({ signal }) => !signal.aborted));
    });
  });

  it("HttpServer keeps the time of each pipelined exchange when the FIN came before it", async () => {
    const source = new FedBody();
    const handler: Handler = (head) =>
      Promise.resolve({ status: 200, fields: [], body: head.target === "/" ? null : source.stream });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await halfClosed(stage, GET + GET.replace("/", "/2"));
      await client.reader.readUntil("chunked\r\n\r\n");
      stage.clock.advance(30_000);
      assert.equal(codeOf(stage.asked[1].signal), "client_closed");
      await client.expectEnd();
    });
  });

  for (const [when, isEarly] of [["before", true], ["behind", false]] as const) {
    it(`HttpServer drops no earlier answer when the FIN comes ${when} the head of SSE`, async () => {
      const large = "x".repeat(3_000_000);
      const source = new FedBody();
      let answer = (_: Answer) => {};
      const handler: Handler = (head) => {
        if (head.target === "/sse") return new Promise((resolve) => answer = resolve);
        return Promise.resolve({ status: 200, fields: [], body: bytesOf(large) });
      };
      await ServerStage.run(handler, {}, async (stage) => {
        const client = await stage.connect({ paused: true });
        client.send(GET + GET.replace("/", "/sse"));
        await stage.called(2);
        const sse: Answer = { status: 200, fields: ["Content-Type", "text/event-stream"], body: source.stream };
        if (!isEarly) {
          answer(sse);
          await eventually(() => source.pulls > 0);
        }
        client.socket.end();
        await stage.ended(1);
        if (isEarly) answer(sse);
        await eventually(() => codeOf(stage.asked[1].signal) === "client_closed");
        client.socket.resume();
        const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        await client.expectEnd(`${whole(large)}${head}`);
        await stage.empty();
        assert.equal(source.canceled, stage.asked[1].signal.reason);
      });
    });
  }

  for (const [what, rest] of [["head", "GET / HT"], ["body", post(10, "half")], ["upgrade", UPGRADE]]) {
    it(`HttpServer answers what is whole and closes when the FIN came in a later request's ${what}`, async () => {
      let answer = (_: Answer) => {};
      await ServerStage.run(() => new Promise((resolve) => answer = resolve), {}, async (stage) => {
        const client = await halfClosed(stage, GET + rest);
        answer({ status: 200, fields: [], body: bytesOf("first") });
        await client.expectEnd(whole("first"));
        await stage.empty();
        assert.equal(stage.asked.length, 1, "a request whose rest cannot come is not served");
        assert.deepEqual(stage.errors, []);
      });
    });

    it(`HttpServer drops no earlier answer when the FIN comes in a later request's ${what}`, async () => {
      const handler: Handler = async (head, body) => {
        if (head.method === "POST" || head.upgrade !== undefined) await bodyText(body);
        return { status: 200, fields: [], body: bytesOf("first") };
      };
      await ServerStage.run(handler, {}, async (stage) => {
        const client = await stage.connect({ paused: true });
        client.send(GET + rest);
        await stage.called(what === "head" ? 1 : 2);
        client.socket.end();
        await stage.ended(1);
        client.socket.resume();
        await client.expectEnd(whole("first"));
        await stage.empty();
        if (what !== "head") assert.equal(codeOf(stage.asked[1].signal), "client_closed");
      });
    });
  }

  it("HttpServer finishes the answer when the client half-closes behind an upgrade that was refused", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(UPGRADE);
      await client.reader.readUntil("\r\n\r\n");
      client.socket.end();
      await stage.ended(1);
      source.push("x");
      source.end();
      await client.expectEnd("1\r\nx\r\n0\r\n\r\n");
      await stage.empty();
    });
  });

  it("HttpServer resets when the FIN comes in the middle of a request's body", async () => {
    await ServerStage.run(echo, {}, async (stage) => {
      const client = await halfClosed(stage, post(10, "x"));
      await client.expectReset();
      assert.equal(codeOf(stage.asked[0].signal), "client_closed");
    });
  });

  it("HttpServer aborts within a second when a client resets after its FIN, before any byte of the answer", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await halfClosed(stage);
      client.socket.reset();
      await eventually(() => codeOf(stage.asked[0].signal) === "client_reset");
      await stage.empty();
    });
  });

  it("HttpServer aborts within a second when a client resets after its FIN, while nothing is written", async () => {
    await streaming([], {}, async (stage, client, source, signal) => {
      source.push("x");
      await client.expect("1\r\nx\r\n");
      client.socket.reset();
      await eventually(() => codeOf(signal) === "client_reset");
      await eventually(() => source.canceled === signal.reason);
      await stage.empty();
    });
  });

  it("HttpServer aborts within a second when a client resets after its FIN and takes no bytes", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      client.socket.end();
      await stage.ended(1);
      await eventually(() => {
        source.push(new Uint8Array(1024 * 1024));
        return stage.sockets[0].bufferedBytes > 0;
      });
      client.socket.reset();
      await eventually(() => codeOf(stage.asked[0].signal) === "client_reset");
      await stage.empty();
    });
  });

  it("HttpServer aborts within a second of the first byte that it writes when a client closed both directions", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const raw = net.connect(stage.port, "127.0.0.1");
      raw.write(GET);
      await new Promise<void>((resolve) => raw.once("data", () => resolve()));
      // The kernel answers what comes now with a reset, as for a program that has ended.
      raw.destroy();
      await stage.ended(1);
      const { signal } = stage.asked[0];
      assert.equal(signal.aborted, false);
      source.push("one chunk, and then silence");
      await eventually(() => codeOf(signal) === "client_reset");
      await stage.empty();
    });
  });

  it("HttpServer leaves nothing behind when 200 half-closed clients leave in turn", async () => {
    await ServerStage.run(
      (head) => {
        if (head.target === "/silent") return new Promise(() => {});
        return Promise.resolve({ status: 200, fields: [], body: new FedBody().stream });
      },
      {},
      async (stage) => {
        for (let round = 0; round < 4; round++) {
          const clients = await Promise.all(Array.from({ length: 50 }, () => stage.connect()));
          clients.forEach((client, index) => {
            client.send(index % 2 === 0 ? GET : GET.replace("/", "/silent"));
            client.socket.end();
          });
          await stage.ended((round + 1) * clients.length);
          for (const { socket } of clients) socket.reset();
          await stage.empty();
        }
        assert.ok(stage.asked.every(({ signal }) => codeOf(signal) === "client_reset"));
      },
    );
  });
});
