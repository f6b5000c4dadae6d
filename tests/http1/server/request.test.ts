import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Handler } from "../../../src/http/message.ts";
import type { HttpServerOptions } from "../../../src/http1/server/options.ts";
import { bytesOf, latin1, steady } from "../../support/net.ts";
import {
  always,
  chunkedPost,
  echo,
  echoTarget,
  EMPTY,
  GET,
  post,
  readerOf,
  ServerStage,
  silent,
  whole,
} from "./server_stage.ts";
import { bodyText } from "../../support/client_requests.ts";

/** Answers with the body that came. */
const collect: Handler = async (_head, body) => ({ status: 200, fields: [], body: bytesOf(await bodyText(body)) });

describe("HttpServer: heads", () => {
  it("Handler gets the request as it was sent when nothing concerns this hop alone", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      client.send("GET /a/../b%2Fc?x=\xc3\xa9 HTTP/1.1\r\nhOST: A.example:80\r\nX-b: 2\r\nx-A: \xe9\r\nX-b: 1\r\n\r\n");
      await client.expect(EMPTY);
      const { head, body, signal } = stage.asked[0];
      assert.equal(head.method, "GET");
      assert.equal(head.target, "/a/../b%2Fc?x=\xc3\xa9");
      assert.equal(head.authority, "A.example:80");
      assert.deepEqual(head.fields, ["X-b", "2", "x-A", "\xe9", "X-b", "1"]);
      assert.equal(head.scheme, "http");
      assert.equal(head.client, "127.0.0.1");
      assert.equal(head.id, "id-1");
      assert.equal(head.upgrade, undefined);
      assert.equal(body, null);
      assert.equal(signal.aborted, false);
    });
  });

  it("Handler gets scheme and client as the options say when they do", async () => {
    await ServerStage.run(always(200), { scheme: "https", clientOf: () => "192.0.2.7" }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect(EMPTY);
      assert.equal(stage.asked[0].head.scheme, "https");
      assert.equal(stage.asked[0].head.client, "192.0.2.7");
    });
  });

  it("Handler gets scheme, client and id as visitorOf says, of the socket, the fields and the server's scheme", async () => {
    const asked: unknown[][] = [];
    const visitorOf: HttpServerOptions["visitorOf"] = ({ remote }, fields, scheme) => {
      asked.push([remote.host, fields, scheme]);
      return { client: "203.0.113.9", scheme: "https", isProxied: true, requestId: "proxys-1" };
    };
    await ServerStage.run(always(200), { visitorOf }, async (stage) => {
      const client = await stage.connect();
      client.send("GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n");
      await client.expect(EMPTY);
      assert.deepEqual(asked, [["127.0.0.1", ["X-A", "1"], "http"]]);
      const { client: address, scheme, id, requestId, isProxied } = stage.asked[0].head;
      assert.deepEqual([address, scheme, id, requestId, isProxied], ["203.0.113.9", "https", "id-1", "proxys-1", true]);
    });
  });

  it("HttpServer refuses and closes without asking the handler when a head is malformed", async () => {
    const heads = [
      ["GET / HTTP/1.1\r\n\r\n", "400 Bad Request"],
      ["GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request"],
      [post(3).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n") + "abc", "400 Bad Request"],
      ["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "405 Method Not Allowed"],
      [`GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, "414 URI Too Long"],
      [GET.replace("\r\n\r\n", `\r\nX: ${"a".repeat(70_000)}\r\n\r\n`), "431 Request Header Fields Too Large"],
      ["GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"],
    ];
    await ServerStage.run(always(200), {}, async (stage) => {
      for (const [head, status] of heads) {
        const client = await stage.connect();
        client.send(head + GET);
        const fields = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${status.length + 1}\r\n`;
        await client.expectEnd(`HTTP/1.1 ${status}\r\n${fields}Connection: close\r\n\r\n${status}\n`);
        client.socket.end();
        await stage.empty();
      }
      assert.equal(stage.asked.length, 0);
      assert.deepEqual(stage.errors, []);
    });
  });

  it("HttpServer answers what came before when a later head is malformed", async () => {
    await ServerStage.run(echoTarget, {}, async (stage) => {
      const client = await stage.connect();
      client.send(`${GET}GET /two HTTP/1.1\r\nHost: a\r\n\r\nGET  /three HTTP/1.1\r\n\r\n${GET}`);
      await client.expect(whole("/") + whole("/two"));
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n\r\n$/);
      await client.expectEnd("400 Bad Request\n");
      assert.equal(stage.asked.length, 2);
    });
  });
});

describe("HttpServer: request bodies", () => {
  it("Handler gets null when there is no body", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      for (const request of [GET, post(0)]) {
        client.send(request);
        await client.expect(EMPTY);
      }
      assert.deepEqual(stage.asked.map(({ body }) => body), [null, null]);
      assert.deepEqual(stage.asked[1].head.fields, ["Content-Length", "0"]);
    });
  });

  it("Handler gets bytes when the body came whole with its head", async () => {
    await ServerStage.run(collect, {}, async (stage) => {
      const client = await stage.connect();
      for (const request of [post(5, "hello"), chunkedPost("2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n")]) {
        client.send(request);
        await client.expect(whole("hello"));
      }
      client.send(chunkedPost("0\r\n\r\n"));
      await client.expect(whole(""));
      assert.ok(stage.asked.every(({ body }) => body instanceof Uint8Array));
    });
  });

  it("Handler gets a stream when the body comes in pieces", async () => {
    await ServerStage.run(collect, {}, async (stage) => {
      const client = await stage.connect();
      for (
        const [head, ...pieces] of [[post(10), "hello", "world"], [
          chunkedPost("5\r\nhe"),
          "llo\r\n5\r",
          "\nworld\r\n0\r\n\r\n",
        ]]
      ) {
        const count = stage.asked.length + 1;
        client.send(head);
        assert.ok((await stage.called(count)).body instanceof ReadableStream);
        for (const piece of pieces) {
          client.send(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await client.expect(whole("helloworld"));
      }
    });
  });

  it("Handler gets one chunk when a read holds many tiny ones", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost());
      const reader = readerOf((await stage.called()).body);
      client.send("1\r\na\r\n".repeat(1000));
      let text = "";
      let reads = 0;
      while (text.length < 1000) {
        text += latin1((await reader.read()).value as Uint8Array);
        reads++;
      }
      assert.equal(text, "a".repeat(1000));
      assert.ok(reads <= 4, `${reads} reads`);
    });
  });

  it("RequestHead.trailers gives the trailer fields when the body has ended", async () => {
    let trailers: unknown[] = [];
    const handler: Handler = async (head, body) => {
      trailers = [head.trailers?.(), await bodyText(body), head.trailers?.()];
      return { status: 200, fields: [], body: null };
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost("5\r\nhello\r\n"));
      await stage.called();
      client.send("0\r\nX-Sum: 7\r\nHost: b\r\n\r\n");
      await client.expect(EMPTY);
      assert.deepEqual(trailers, [[], "hello", ["X-Sum", "7"]]);
    });
  });

  it("HttpServer stops reading when the handler does not read the body", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      const total = 64 * 1024 * 1024;
      client.send(post(total));
      const { body } = await stage.called();
      const piece = new Uint8Array(64 * 1024);
      let accepted = 0;
      const pump = () => {
        for (; accepted < total; accepted += piece.length) if (!client.socket.write(piece)) return;
      };
      client.reader.onDrain = () => {
        accepted += piece.length;
        pump();
      };
      pump();
      const before = await steady(() => accepted);
      assert.ok(before < 16 * 1024 * 1024, `${before} bytes were taken and nobody reads`);
      let received = 0;
      for await (const chunk of body as ReadableStream<Uint8Array>) received += chunk.length;
      assert.equal(received, total);
    });
  });

  it("HttpServer answers 400 and aborts when a chunk is malformed and no answer has begun", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost("5\r\nhello\r\n"));
      const { body, signal } = await stage.called();
      const text = bodyText(body);
      client.send("zz\r\n");
      await assert.rejects(text, { code: "bad_request" });
      assert.equal(signal.reason.code, "bad_request");
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n\r\n$/);
      await client.expectEnd("400 Bad Request\n");
    });
  });

  it("HttpServer answers 400 without asking the handler when a chunk beside the head is malformed", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost("5\r\nhelloX\r\n"));
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 400 /);
      await client.expectEnd("400 Bad Request\n");
      assert.equal(stage.asked.length, 0);
    });
  });

  it("HttpServer resets when a chunk is malformed and the answer has begun", async () => {
    await ServerStage.run(echo, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost());
      await stage.called();
      client.send("5\r\nhello\r\n");
      await client.reader.readUntil("hello\r\n");
      client.send("zz\r\n");
      await client.expectReset();
    });
  });
});
