import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Handler } from "../../../src/http/message.ts";
import { bytesOf } from "../../support/net.ts";
import { always, GET, ServerStage, streamOf } from "./server_stage.ts";
import { FedBody } from "../../support/client_requests.ts";

const OLD = "GET / HTTP/1.0\r\n\r\n";

describe("HttpServer: answers that fail", () => {
  it("HttpServer resets when a body has fewer or more bytes than its Content-Length", async () => {
    for (const length of ["12", "10"]) {
      const answer = always(200, ["Content-Length", length], streamOf("hello", " world"));
      await ServerStage.run(answer, {}, async (stage) => {
        const client = await stage.connect();
        client.send(GET);
        await client.expectReset();
        const { signal } = stage.asked[0];
        assert.equal(signal.reason.code, "answer_failed");
        assert.equal((stage.errors[0] as { code: string }).code, "upstream_invalid");
        await stage.empty();
      });
    }
  });

  it("HttpServer resets without a last chunk when a body fails", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      source.push("part");
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
      const cause = new Error("upstream lost");
      source.fail(cause);
      assert.equal(await client.expectReset(), "");
      assert.deepEqual(stage.errors, [cause]);
      assert.equal(stage.asked[0].signal.reason.cause, cause);
      await stage.empty();
    });
  });

  it("HttpServer resets an HTTP/1.0 client when a body that goes until the close fails", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(OLD);
      source.push("part");
      await client.reader.readUntil("part");
      source.fail(new Error("upstream lost"));
      await client.expectReset();
    });
  });

  it("HttpServer answers 502 or 500 and goes on when the handler rejects", async () => {
    const failures = [Object.assign(new Error("refused"), { status: 502 }), new Error("secret"), null];
    const handler: Handler = () => Promise.reject(failures.shift());
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      const text = "Content-Type: text/plain; charset=utf-8\r\nContent-Length:";
      for (const answer of [`502 Bad Gateway`, "500 Internal Server Error", "500 Internal Server Error"]) {
        client.send(GET);
        await client.expect(`HTTP/1.1 ${answer}\r\n${text} ${answer.length + 1}\r\n\r\n${answer}\n`);
      }
      assert.equal(stage.errors.length, 3);
      assert.equal(stage.asked[0].signal.aborted, false);
    });
  });

  it("HttpServer answers what errorAnswer says when the handler throws at once", async () => {
    const handler = () => {
      throw new Error("at once");
    };
    const errorAnswer = (error: unknown) => ({ status: 503, fields: ["X", (error as Error).message], body: null });
    await ServerStage.run(handler, { errorAnswer }, async (stage) => {
      const client = await stage.connect();
      client.send(GET.repeat(3));
      for (let count = 0; count < 3; count++) {
        await client.expect("HTTP/1.1 503 Service Unavailable\r\nX: at once\r\nContent-Length: 0\r\n\r\n");
      }
    });
  });

  it("HttpServer resets when errorAnswer fails, too", async () => {
    const errorAnswer = () => {
      throw new Error("second");
    };
    await ServerStage.run(() => Promise.reject(new Error("first")), { errorAnswer }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      assert.equal(await client.expectReset(), "");
      assert.deepEqual(stage.errors.map((error) => (error as Error).message), ["first", "second"]);
      const other = await stage.connect();
      other.send("nonsense\r\n\r\n");
      assert.equal(await other.expectReset(), "");
    });
  });

  it("HttpServer answers 502 when an answer cannot be written", async () => {
    const bad: Partial<Answer>[] = [
      { status: 99 },
      { status: 100 },
      { status: 101, upgrade: "foo" },
      { status: 200.5 },
      { fields: ["Content-Length", "x"] },
      { fields: ["Content-Length", "4"], body: bytesOf("hello") },
      { fields: ["Content-Length", "4"] },
    ];
    for (const part of bad) {
      const source = new FedBody();
      const answer: Answer = { status: 200, fields: [], body: part.body === undefined ? null : part.body, ...part };
      const streamed: Answer = { ...answer, body: source.stream };
      const isAboutWhole = part.fields?.[1] === "4";
      await ServerStage.run(() => Promise.resolve(isAboutWhole ? answer : streamed), {}, async (stage) => {
        const client = await stage.connect();
        client.send(GET);
        assert.match(await client.reader.readUntil("\r\n"), /^HTTP\/1\.1 502 /);
        if (!isAboutWhole) assert.equal((source.canceled as { code: string }).code, "upstream_invalid");
      });
    }
  });

  it("HttpServer answers 500 and splits nothing when a field holds a CRLF", async () => {
    await ServerStage.run(always(200, ["X", "a\r\nSet-Cookie: b"]), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 500 [^]*$/);
      assert.equal((stage.errors[0] as { code: string }).code, "invalid_head");
    });
  });

  it("HttpServer resets when somebody else reads the answer's body", async () => {
    const stream = streamOf("x");
    stream.getReader();
    await ServerStage.run(always(200, [], stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expectReset();
      assert.ok(stage.errors[0] instanceof TypeError);
    });
  });
});
