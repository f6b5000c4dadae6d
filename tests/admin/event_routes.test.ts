/** `/api/events` of the admin API. What the events are is tested with `edge events`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withOperatedEdge } from "../cli/operated_edge.ts";
import { dial, type DialTarget } from "../../src/net/mod.ts";
import { textSoFar } from "../support/gunzip.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { get } from "../support/public_client.ts";

/** The beginning of a stream that does not end, up to the first `end`. */
async function readUntil(response: Response, end: string): Promise<string> {
  const reader = response.body!.getReader();
  let text = "";
  while (!text.includes(end)) text += new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  return text;
}

describe("GET /api/events", () => {
  for (const path of ["/api/events", "/api/v1/events"]) {
    it(`is a stream that no proxy keeps back, in the format that Accept names, at ${path}`, () =>
      withOperatedEdge(async ({ fetch }) => {
        const response = await fetch(path, { headers: { Accept: "text/event-stream" } });
        const fields = ["content-type", "cache-control", "x-accel-buffering"].map((name) => response.headers.get(name));
        assert.deepEqual([response.status, ...fields], [200, "text/event-stream", "no-cache, no-transform", "no"]);
        assert.match(await readUntil(response, "\n\nevent: connected\n"), /^: connected\n\n/);
        const lines = await fetch(path, { headers: { Accept: "text/event-stream;q=0.1, application/x-ndjson" } });
        assert.equal(lines.headers.get("content-type"), "application/x-ndjson");
        assert.equal(JSON.parse((await readUntil(lines, "\n")).split("\n")[0]!).event, "connected");
      }));
  }

  for (const type of ["text/event-stream", "application/x-ndjson"]) {
    it(`is in gzip where the client accepts it, and each event of ${type} can be decoded when it happens`, () =>
      withOperatedEdge(async (edge) => {
        const port = Number(new URL(edge.admin).port);
        const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
        const fields = ["Host: 127.0.0.1", `Authorization: Bearer ${edge.adminToken}`, `Accept: ${type}`];
        const request = ["GET /api/events HTTP/1.0", ...fields, "Accept-Encoding: br, gzip;q=0.5"];
        client.socket.write(bytesOf(`${request.join("\r\n")}\r\n\r\n`));
        const head = await client.readUntil("\r\n\r\n");
        assert.match(head, /^content-encoding: gzip\r$/im);
        assert.match(head, /^vary: accept-encoding\r$/im);
        assert.match(head, new RegExp(`^content-type: ${type}\\r$`, "im"));
        let coded = new Uint8Array();
        const until = async (end: string) => {
          for (let text = ""; !text.includes(end);) {
            coded = Uint8Array.from([...coded, ...await client.read(1)]);
            if (coded.length > 10) text = textSoFar(coded);
          }
        };
        await until("connected");
        for (const name of ["web-1", "web-2", "web-3"]) {
          await edge.command("node", "add", name);
          // Each is decoded before the next one is made.
          await until(`"key":"${name}"`);
        }
        client.socket.reset();
      }));
  }

  it("is in no coding where the client refuses gzip or says nothing, and says that it varies", () =>
    withOperatedEdge(async (edge) => {
      const port = Number(new URL(edge.admin).port);
      for (const more of ["", "Accept-Encoding: gzip;q=0, *\r\n", "Accept-Encoding: br\r\n"]) {
        const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
        const fields = `Host: 127.0.0.1\r\nAuthorization: Bearer ${edge.adminToken}\r\n${more}`;
        client.socket.write(bytesOf(`GET /api/events HTTP/1.0\r\n${fields}\r\n`));
        const head = await client.readUntil("\r\n\r\n");
        assert.doesNotMatch(head, /^content-encoding/im);
        assert.match(head, /^vary: accept-encoding\r$/im);
        await client.readUntil(": connected\n\nevent: connected\n");
        client.socket.reset();
      }
    }));

  it("has its head alone for HEAD, and does not listen for it", () =>
    withOperatedEdge(async ({ fetch }) => {
      for (let count = 0; count < 70; count++) {
        const response = await fetch("/api/events", { method: "HEAD", headers: { Accept: "text/event-stream" } });
        assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/event-stream"]);
      }
      const response = await fetch("/api/events");
      assert.equal(response.status, 200);
      await response.body?.cancel();
    }));

  it("refuses what it cannot serve, with the code that says why", () =>
    withOperatedEdge(async ({ fetch }) => {
      const cases: readonly [path: string, init: RequestInit, status: number, code: string][] = [
        ["/api/events", { headers: { Accept: "application/json" } }, 406, "not_acceptable"],
        ["/api/events", { headers: { Accept: "text/event-stream;q=0" } }, 406, "not_acceptable"],
        ["/api/events?since=yesterday", {}, 400, "bad_request"],
        ["/api/events?until=a-1", {}, 400, "bad_request"],
        ["/api/events", { headers: { "Last-Event-ID": "1; drop" } }, 400, "bad_request"],
        ["/api/events", { headers: { Authorization: "Bearer wrong" } }, 401, "unauthorized"],
        ["/api/events", { headers: { Origin: "http://other.test" } }, 403, "origin_not_allowed"],
        ["/api/v1/status", { headers: { Authorization: "Bearer wrong" } }, 401, "unauthorized"],
        ["/api/events", { method: "POST" }, 405, "method_not_allowed"],
        ["/api/v1/status", { method: "DELETE" }, 405, "method_not_allowed"],
      ];
      for (const [path, init, status, code] of cases) {
        const response = await fetch(path, init);
        assert.deepEqual([response.status, (await response.json()).code], [status, code], `${path} ${code}`);
      }
    }));

  it("counts Last-Event-ID more than ?since=, which a browser repeats when it comes back", () =>
    withOperatedEdge(async ({ fetch, command }) => {
      const first = await fetch("/api/events", { headers: { Accept: "application/x-ndjson" } });
      for (const name of ["web-1", "web-2"]) await command("node", "add", name);
      const text = await readUntil(first, "web-2");
      const events = text.split("\n").filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
      const [start, end] = [events[0].eventId, events.findLast(({ key }) => key === "web-1").eventId];
      const headers = { Accept: "application/x-ndjson", "Last-Event-ID": end };
      const again = await readUntil(await fetch(`/api/events?since=${start}`, { headers }), "web-2");
      assert.ok(!again.includes('"web-1"'), again);
    }));

  it("answers 503 with Retry-After where as many listen as may, until one of them leaves", () =>
    withOperatedEdge(async ({ fetch }) => {
      const readers: ReadableStreamDefaultReader<Uint8Array>[] = [];
      for (let count = 0; count < 64; count++) {
        const reader = (await fetch("/api/events")).body!.getReader();
        await reader.read();
        readers.push(reader);
      }
      const refused = await fetch("/api/events");
      assert.deepEqual([refused.status, (await refused.json()).code], [503, "overloaded"]);
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      await readers.pop()!.cancel();
      await eventually(async () => {
        const response = await fetch("/api/events");
        await response.body?.cancel();
        return response.status === 200;
      });
      for (const reader of readers) await reader.cancel();
    }));

  it("stands in the OpenAPI document with both formats and every refusal", () =>
    withOperatedEdge(async ({ fetch }) => {
      const { paths } = await (await fetch("/api/v1/openapi.json")).json();
      for (const path of ["/api/events", "/api/v1/events"]) {
        const { responses, parameters } = paths[path].get;
        assert.ok(["text/event-stream", "application/x-ndjson"].every((type) => type in responses[200].content));
        for (const status of ["400", "401", "403", "406", "503"]) assert.ok(status in responses, status);
        assert.deepEqual(parameters.map(({ name }: { name: string }) => name), ["since", "last-event-id"]);
      }
      assert.ok("200" in paths["/api/v1/status"].get.responses);
    }));
});

describe("A program that listens to events and does not read", () => {
  it("is cut off, with a line in the log, while requests and other readers go on", () =>
    withOperatedEdge(async (edge) => {
      const { host, port } = { host: "127.0.0.1", port: Number(new URL(edge.admin).port) };
      const stalled = new SocketReader(await dial({ kind: "tcp", host, port }), { paused: true });
      const fields = `Host: ${host}\r\nAuthorization: Bearer ${edge.adminToken}\r\nAccept: application/x-ndjson\r\n`;
      stalled.socket.write(bytesOf(`GET /api/events HTTP/1.1\r\n${fields}\r\n`));
      const quick = (await edge.fetch("/api/events", { headers: { Accept: "application/x-ndjson" } })).body!
        .getReader();
      await quick.read();
      let seen = 0;
      const reading = (async () => {
        for (let text = ""; !text.includes("/last");) {
          const { value } = await quick.read();
          text = text.slice(-64) + new TextDecoder().decode(value);
          seen += value!.length;
        }
      })();
      const path = "x".repeat(7_000);
      const visitor = { connect: async () => new SocketReader(await dial(edgeTarget(edge))), host: "localhost" };
      await eventually(async () => {
        await Promise.all(Array.from({ length: 100 }, () => get(visitor, `/${path}`)));
        return /cut off/.test(edge.run.stderr);
      });
      await get(visitor, "/last");
      await reading;
      assert.ok(seen > 4 * 1024 ** 2, String(seen));
      stalled.socket.resume();
      await stalled.closed;
      assert.equal(stalled.sawEnd, false, "it ended as if it were complete");
      await quick.cancel();
    }, { RUNNEL_LOG_LEVEL: "warn" }));
});

function edgeTarget({ url }: { readonly url: string }): DialTarget {
  return { kind: "tcp", host: "127.0.0.1", port: Number(new URL(url).port) };
}
