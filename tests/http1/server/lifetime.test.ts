import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import type { Answer, Handler } from "../../../src/http/message.ts";
import { eventually } from "../../support/net.ts";
import { always, GET, ServerStage, silent } from "./server_stage.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";

const EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const EMPTY_CLOSE = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TIMEOUT = "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 20\r\n" +
  "Connection: close\r\n\r\n408 Request Timeout\n";

function post(length: number, body = ""): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

function codeOf(signal: CancelSignal): string | undefined {
  return (signal.reason as { code?: string } | undefined)?.code;
}

/** Reads the body, then answers nothing. */
const read: Handler = async (_head, body) => {
  await bodyText(body);
  return { status: 200, fields: [], body: null };
};

describe("HttpServer: timeouts", () => {
  it("HttpServer answers 408 when a head does not end within headTimeoutMs", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect(EMPTY);
      stage.clock.advance(60_000);
      client.send("GET / HTTP/1.1\r\nHost:");
      await stage.received(GET.length + 21);
      stage.clock.advance(9_000);
      // Single bytes do not extend the time.
      client.send(" a\r\nX: ");
      await stage.received(GET.length + 28);
      stage.clock.advance(999);
      assert.equal(stage.server.connections, 1);
      stage.clock.advance(1);
      await client.expectEnd(TIMEOUT);
      client.socket.end();
      await stage.empty();
      assert.equal(stage.asked.length, 1);
    });
  });

  it("HttpServer closes without a word when a new client sends nothing", async () => {
    await ServerStage.run(always(200), { headTimeoutMs: 7_000 }, async (stage) => {
      const client = await stage.connect();
      await eventually(() => stage.server.connections === 1);
      stage.clock.advance(7_000);
      await client.expectEnd();
      client.socket.end();
      await stage.empty();
    });
  });

  it("HttpServer counts the first head's time from the start when a client sends single bytes", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      await eventually(() => stage.server.connections === 1);
      stage.clock.advance(6_000);
      client.send("GET / HTTP/1.1\r\n");
      await stage.received(16);
      stage.clock.advance(4_000);
      await client.expectEnd(TIMEOUT);
    });
  });

  it("HttpServer closes an idle connection when keepAliveMs have passed", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      for (let count = 0; count < 3; count++) {
        client.send(GET);
        await client.expect(EMPTY);
        stage.clock.advance(74_999);
        assert.equal(client.reader.sawEnd, false);
      }
      stage.clock.advance(1);
      await client.expectEnd();
      stage.clock.advance(5_000);
      await stage.empty();
    });
  });

  it("HttpServer answers 408 and aborts when a request body falls silent", async () => {
    await ServerStage.run(read, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10));
      await stage.called();
      for (let count = 1; count <= 3; count++) {
        client.send("x");
        await stage.received(post(10).length + count);
        stage.clock.advance(59_000);
      }
      assert.equal(stage.asked[0].signal.aborted, false);
      stage.clock.advance(1_000);
      await client.expectEnd(TIMEOUT);
      assert.equal(codeOf(stage.asked[0].signal), "request_timeout");
      assert.deepEqual(stage.errors, []);
      stage.clock.advance(5_000);
      await stage.empty();
    });
  });

  it("HttpServer resets when a request body falls silent behind the answer's head", async () => {
    const handler: Handler = (_head, body) => Promise.resolve({ status: 200, fields: [], body });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10));
      await client.reader.readUntil("\r\n\r\n");
      client.send("x");
      await client.reader.readUntil("x\r\n");
      stage.clock.advance(60_000);
      await client.expectReset();
      await stage.empty();
    });
  });

  for (const isLong of [false, true]) {
    const framing = isLong ? ["Content-Length", "1000"] : [];
    it(`HttpServer waits for a silent request body when its ${isLong ? "long" : "chunked"} answer moves`, async () => {
      const source = new FedBody();
      const handler: Handler = (_head, body) => {
        void bodyText(body).catch(() => {});
        return Promise.resolve({ status: 200, fields: framing, body: source.stream });
      };
      await ServerStage.run(handler, {}, async (stage) => {
        const client = await stage.connect();
        client.send(post(10));
        await client.reader.readUntil("\r\n\r\n");
        for (let count = 0; count < 10; count++) {
          stage.clock.advance(59_000);
          source.push(`part ${count}`);
          await client.reader.readUntil(`part ${count}`);
        }
        assert.equal(stage.asked[0].signal.aborted, false);
        stage.clock.advance(60_000);
        await client.expectReset();
        assert.equal(codeOf(stage.asked[0].signal), "answer_failed");
        await stage.empty();
      });
    });
  }

  it("HttpServer waits when it is the handler that does not read", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10));
      const { signal } = await stage.called();
      stage.clock.advance(3_600_000);
      assert.equal(signal.aborted, false);
      assert.equal(client.reader.sawEnd, false);
    });
  });

  it("HttpServer waits when an answer streams for as long as it likes", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.reader.readUntil("\r\n\r\n");
      stage.clock.advance(3_600_000);
      source.push("still here");
      await client.expect("a\r\nstill here\r\n");
    });
  });

  it("HttpServer waits keepAliveMs for the client's FIN when it closed behind a whole exchange", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      await client.expectEnd(EMPTY_CLOSE);
      stage.clock.advance(74_999);
      assert.equal(stage.server.connections, 1);
      stage.clock.advance(1);
      await stage.empty();
    });
  });

  it("HttpServer resets a closing connection when the client takes nothing of what is written", async () => {
    const body = new Uint8Array(32 * 1024 * 1024);
    await ServerStage.run(always(200, [], body), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      await eventually(() => stage.sockets[0]?.bufferedBytes > 0);
      stage.clock.advance(75_000);
      stage.clock.advance(5_000);
      await stage.empty();
      client.socket.resume();
      await client.reader.closed;
      assert.equal(client.reader.sawEnd, false);
    });
  });
});

describe("HttpServer: clients that leave", () => {
  it("HttpServer aborts when a client sends FIN in the middle of its body", async () => {
    await ServerStage.run(read, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10, "x"));
      const { body, signal } = await stage.called();
      client.socket.end();
      await eventually(() => signal.aborted);
      assert.equal(codeOf(signal), "client_closed");
      assert.ok(body instanceof ReadableStream);
      await client.expectReset();
      await stage.empty();
    });
  });

  it("HttpServer aborts when a client resets", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      const { signal } = await stage.called();
      client.socket.reset();
      await eventually(() => signal.aborted);
      assert.equal(codeOf(signal), "client_reset");
      await stage.empty();
    });
  });

  it("HttpServer drops an answer that comes when its client has left", async () => {
    let answer = (_: Answer) => {};
    await ServerStage.run(() => new Promise((resolve) => answer = resolve), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      const { signal } = await stage.called();
      client.socket.reset();
      await eventually(() => signal.aborted);
      const source = new FedBody();
      answer({ status: 200, fields: [], body: source.stream });
      await eventually(() => source.canceled === signal.reason);
    });
  });

  it("HttpServer ends its side when a client sends FIN between requests or in a head", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      for (const [begun, answer] of [["", ""], [GET, EMPTY], [`${GET}GET / HT`, EMPTY]]) {
        const client = await stage.connect();
        client.send(begun);
        await client.expect(answer);
        client.socket.end();
        await client.expectEnd();
        await stage.empty();
      }
      assert.equal(stage.asked.length, 2);
      assert.ok(stage.asked.every(({ signal }) => !signal.aborted));
    });
  });

  it("HttpServer leaves nothing behind when 1,000 requests are aborted", async () => {
    const sources: FedBody[] = [];
    const handler: Handler = (head, body) => {
      if (head.method === "POST") return bodyText(body).then(() => ({ status: 200, fields: [], body: null }));
      if (head.target === "/silent") return new Promise(() => {});
      const source = new FedBody();
      sources.push(source);
      return Promise.resolve({ status: 200, fields: [], body: source.stream });
    };
    const requests = [GET, post(100, "part"), "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n"];
    await ServerStage.run(handler, { halfClosedMs: 0 }, async (stage) => {
      for (let round = 0; round < 20; round++) {
        const clients = await Promise.all(Array.from({ length: 50 }, () => stage.connect()));
        clients.forEach((client, index) => client.send(requests[index % requests.length]));
        await stage.called((round + 1) * clients.length);
        clients.forEach(({ socket }, index) => index % 2 === 0 ? socket.reset() : socket.end());
        await stage.empty();
        for (const { socket } of clients) socket.reset();
      }
      assert.equal(stage.asked.length, 1000);
      assert.ok(stage.asked.every(({ signal }) => signal.aborted));
      assert.ok(sources.every(({ canceled }) => canceled !== undefined));
      assert.equal(stage.clock.pending, 0);
      assert.deepEqual(
        stage.errors.filter((error) => (error as { code?: string }).code?.startsWith("client") !== true),
        [],
      );
    });
  });
});
