import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { Hono } from "hono";
import { fetchHandler } from "../../src/http/fetch_handler.ts";
import type { RequestHead } from "../../src/http/message.ts";
import { eventually } from "../support/net.ts";
import { GET, ServerStage } from "../http1/server/server_stage.ts";
import { FedBody, never, requestHead } from "../support/client_requests.ts";

const ORIGIN = "http://edge.internal";

describe("fetchHandler", () => {
  it("fetchHandler serves a Hono app when requests come one behind the other", async () => {
    const app = new Hono<{ Bindings: RequestHead }>();
    app.get("/hello/:name", (c) => c.text(`${c.req.param("name")} ${c.req.query("q")} ${c.env.client} ${c.env.id}`));
    app.post("/json", async (c) => c.json({ got: await c.req.json(), cookie: c.req.header("cookie") }, 201));
    const handler = fetchHandler((request, head) => app.fetch(request, head), ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send("GET /hello/x%20y?q=%41 HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(await client.reader.readUntil("0\r\n\r\n"), /\r\nx y A 127\.0\.0\.1 id-1\r\n0\r\n\r\n$/);
      const fields = "Host: a\r\nCookie: a=1\r\nCookie: b=2\r\nContent-Type: application/json\r\nContent-Length: 7";
      client.send(`POST /json HTTP/1.1\r\n${fields}\r\n\r\n{"a":`);
      await stage.called(2);
      client.send("1}");
      assert.match(
        await client.reader.readUntil("0\r\n\r\n"),
        /^HTTP\/1\.1 201 Created\r\n[^]*\r\n{"got":{"a":1},"cookie":"a=1; b=2"}\r\n0\r\n\r\n$/,
      );
      client.send("HEAD /hello/x HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
      client.send(GET);
      assert.match(await client.reader.readUntil("404 Not Found\r\n0\r\n\r\n"), /^HTTP\/1\.1 404 Not Found\r\n/);
    });
  });

  it("fetchHandler keeps each Set-Cookie and adds a Date when an app has none", async () => {
    const headers = new Headers([["Set-Cookie", "a=1, x"], ["Set-Cookie", "b=2"], ["Content-Length", "0"]]);
    const handler = fetchHandler(() => new Response(null, { status: 202, headers }), ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      const head = await client.reader.readUntil("\r\n\r\n");
      assert.deepEqual(head.match(/set-cookie: .*/gi), ["set-cookie: a=1, x", "set-cookie: b=2"]);
      const date = Date.parse(head.match(/\r\ndate: (.*)\r\n/i)?.[1] ?? "");
      assert.ok(Math.abs(date - Date.now()) < 5_000, head);
    });
  });

  it("fetchHandler gives the text of a status where it is not the standard one, and what a 426 asks for", async () => {
    const rows: [init: ResponseInit, reason: string | undefined, upgrade: string | undefined][] = [
      [{ status: 413, statusText: "Payload Too Large" }, "Payload Too Large", undefined],
      [{ status: 404, statusText: "Not Found" }, undefined, undefined],
      [{ status: 200 }, undefined, undefined],
      [{ status: 426, headers: { upgrade: "TLS/1.0, HTTP/2.0" } }, undefined, "TLS/1.0,HTTP/2.0"],
      [{ status: 200, headers: { upgrade: "h2c" } }, undefined, undefined],
    ];
    for (const [init, reason, upgrade] of rows) {
      const answer = await fetchHandler(() => new Response(null, init), ORIGIN)(requestHead(), null, never);
      assert.deepEqual([answer.status, answer.reason, answer.upgrade], [init.status, reason, upgrade]);
      assert.ok(!answer.fields.includes("upgrade"));
    }
  });

  it("fetchHandler leaves out the coding that the runtime's fetch has undone", async () => {
    const packed = gzipSync("hello ".repeat(100));
    const server = createServer((_request, response) => {
      response.writeHead(200, { "Content-Encoding": "gzip", "Content-Length": packed.length, "X-End": "1" });
      response.end(packed);
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const handler = fetchHandler(() => fetch(`http://127.0.0.1:${port}/`), ORIGIN);
    try {
      const { fields, body } = await handler(requestHead(), null, never);
      const names = fields.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
      assert.deepEqual(names.filter((name) => /^(content-encoding|content-length|x-end)$/.test(name)), ["x-end"]);
      assert.equal(await new Response(body as BodyInit).text(), "hello ".repeat(100));
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("fetchHandler streams an answer and aborts its request when the client leaves", async () => {
    const source = new FedBody();
    let signal: AbortSignal | null = null;
    const handler = fetchHandler((request) => {
      signal = request.signal;
      return new Response(source.stream, { headers: { "Content-Type": "text/event-stream" } });
    }, ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.reader.readUntil("\r\n\r\n");
      source.push("data: 1\n\n");
      await client.expect("9\r\ndata: 1\n\n\r\n");
      client.socket.reset();
      await eventually(() => source.canceled !== undefined && signal?.aborted === true);
    });
  });

  it("fetchHandler gives the target's bytes as they are meant when a URL would change them", async () => {
    const handler = fetchHandler((request) => new Response(`${request.method} ${request.url}`), ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      const rows = [
        ["GET /\xc3\xa9?\xff", "GET http://edge.internal/%C3%A9?%FF"],
        ["GET //b/c", "GET http://edge.internal//b/c"],
        ["OPTIONS *", "OPTIONS http://edge.internal/*"],
      ];
      for (const [line, seen] of rows) {
        client.send(`${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const answer = await client.reader.readUntil("0\r\n\r\n");
        assert.equal(answer.split("\r\n").at(-4), seen);
      }
    });
  });

  it("fetchHandler answers 501 where a Request would have another method than was asked", async () => {
    let calls = 0;
    const handler = fetchHandler(({ method }) => {
      calls++;
      return new Response(method);
    }, ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      for (const method of ["get", "Post", "hEAD"]) {
        client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
        const answer = await client.reader.readUntil("}\n");
        assert.match(answer, /^HTTP\/1\.1 501 /, method);
        assert.match(answer, new RegExp(`"detail":"The method ${method} is not served","code":"not_implemented"`));
      }
      assert.equal(calls, 0);
      // What a runtime has as it was asked, it may serve.
      client.send("FOO / HTTP/1.1\r\nHost: a\r\n\r\n");
      const head = await client.reader.readUntil("\r\n\r\n");
      if (!head.startsWith("HTTP/1.1 501 ")) assert.match(await client.reader.readUntil("0\r\n\r\n"), /FOO/);
    });
  });

  it("fetchHandler answers 400 and drops the body when the target is no path", async () => {
    let calls = 0;
    const handler = fetchHandler(() => {
      calls++;
      return new Response();
    }, ORIGIN);
    for (const target of ["no-slash", "", "@other/", ":80/"]) {
      const body = new FedBody();
      const answer = await handler(requestHead({ method: "POST", target }), body.stream, never);
      assert.equal(answer.status, 400, target);
      assert.match(new TextDecoder().decode(answer.body as Uint8Array), /"code":"bad_request"/);
      await eventually(() => body.canceled !== undefined);
    }
    assert.equal(calls, 0);
  });

  it("fetchHandler answers 501 and drops the body when Request cannot express the request", async () => {
    const handler = fetchHandler((request) => new Response(request.body === null ? "none" : "some"), ORIGIN);
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send("TRACK / HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(await client.reader.readUntil("}\n"), /^HTTP\/1\.1 501 /);
      client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
      assert.match(await client.reader.readUntil("0\r\n\r\n"), /\r\nnone\r\n/);
    });
  });
});
