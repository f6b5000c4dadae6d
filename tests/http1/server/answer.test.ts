import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Handler } from "../../../src/http/message.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import { always, GET, ServerStage, streamOf } from "./server_stage.ts";
import { FedBody } from "../../support/client_requests.ts";

const HEAD = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const OLD = "GET / HTTP/1.0\r\n\r\n";
const CLOSING = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const TRAILERS = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
const NEXT = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

interface Row {
  readonly does: string;
  readonly when: string;
  readonly request?: string;
  readonly answer: () => Partial<Answer>;
  readonly bytes: string;
  /** The connection ends behind these bytes; else it takes another request. */
  readonly closes?: boolean;
}

const rows: Row[] = [
  {
    does: "adds Content-Length",
    when: "a whole body has none",
    answer: () => ({ fields: ["X-A", "1"], body: bytesOf("hello") }),
    bytes: "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
  },
  {
    does: "keeps Content-Length where it stands",
    when: "the fields have it",
    answer: () => ({ fields: ["content-length", "5", "X-A", "1"], body: bytesOf("hello") }),
    bytes: "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-A: 1\r\n\r\nhello",
  },
  {
    does: "says a length of 0",
    when: "there is no body",
    answer: () => ({ status: 404 }),
    bytes: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
  },
  {
    does: "writes order, repeats, case and bytes of fields as they are",
    when: "they are unusual",
    answer: () => ({ fields: ["SeT-cOOkie", "a=1", "X", "\xe9", "Set-Cookie", "b=2"] }),
    bytes: "HTTP/1.1 200 OK\r\nSeT-cOOkie: a=1\r\nX: \xe9\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
  },
  {
    does: "leaves out the fields of one hop",
    when: "an answer has them",
    answer: () => ({ fields: ["Connection", "close", "Keep-Alive", "x", "Transfer-Encoding", "gzip", "A", "b"] }),
    bytes: "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n",
  },
  {
    does: "writes chunks",
    when: "a stream has no length",
    answer: () => ({ body: streamOf("hello", "", " world, and more") }),
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n world, and more\r\n0\r\n\r\n",
  },
  {
    does: "writes a long chunk whole",
    when: "it is too long to be copied",
    answer: () => ({ body: streamOf("x".repeat(5000)) }),
    bytes: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n${"x".repeat(5000)}\r\n0\r\n\r\n`,
  },
  {
    does: "writes a stream bare",
    when: "Content-Length says how long it is",
    answer: () => ({ fields: ["Content-Length", "11"], body: streamOf("hello", " world") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
  },
  {
    does: "writes a whole body",
    when: "it is long",
    answer: () => ({ body: bytesOf("y".repeat(20_000)) }),
    bytes: `HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n${"y".repeat(20_000)}`,
  },
  {
    does: "keeps Content-Length and sends no body",
    when: "the method is HEAD",
    request: HEAD,
    answer: () => ({ fields: ["Content-Length", "11"], body: streamOf("hello world") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
  },
  {
    does: "tells the length of what it does not send",
    when: "the method is HEAD and the body whole",
    request: HEAD,
    answer: () => ({ body: bytesOf("hello") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
  },
  {
    does: "says nothing of a length",
    when: "the method is HEAD and nobody knows it",
    request: HEAD,
    answer: () => ({ body: streamOf("hello") }),
    bytes: "HTTP/1.1 200 OK\r\n\r\n",
  },
  {
    does: "has neither body nor Content-Length",
    when: "the status is 204",
    answer: () => ({ status: 204, fields: ["Content-Length", "5"], body: streamOf("hello") }),
    bytes: "HTTP/1.1 204 No Content\r\n\r\n",
  },
  {
    does: "keeps Content-Length and drops the body",
    when: "the status is 304",
    answer: () => ({ status: 304, fields: ["Content-Length", "5"], body: bytesOf("hello") }),
    bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  },
  {
    does: "announces the close",
    when: "the client asked for it",
    request: CLOSING,
    answer: () => ({ body: bytesOf("x") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    closes: true,
  },
  {
    does: "ends chunks before the close",
    when: "the client asked for it",
    request: CLOSING,
    answer: () => ({ body: streamOf("x") }),
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    closes: true,
  },
  {
    does: "closes behind the answer",
    when: "the client speaks HTTP/1.0",
    request: OLD,
    answer: () => ({ body: bytesOf("x") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    closes: true,
  },
  {
    does: "ends a stream with the connection",
    when: "the client speaks HTTP/1.0",
    request: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    answer: () => ({ body: streamOf("hello", " world") }),
    bytes: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world",
    closes: true,
  },
  {
    does: "keeps an HTTP/1.0 connection",
    when: "it was asked to and the length is known",
    request: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    answer: () => ({ fields: ["Content-Length", "2"], body: streamOf("ok") }),
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
  },
  {
    does: "writes trailers",
    when: "the client takes them",
    request: TRAILERS,
    answer: () => ({ body: streamOf("x"), trailers: () => ["X-Sum", "1", "Content-Length", "9"] }),
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n",
  },
  {
    does: "writes trailers behind a whole body",
    when: "the client takes them",
    request: TRAILERS,
    answer: () => ({ body: bytesOf("x"), trailers: () => ["X-Sum", "1"] }),
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n",
  },
  {
    does: "drops trailers",
    when: "the client did not say TE: trailers",
    answer: () => ({ body: streamOf("x"), trailers: () => ["X-Sum", "1"] }),
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
  },
];

/** Answers the first request with the row's answer and every other one plainly. */
function first(answer: () => Partial<Answer>): Handler {
  let count = 0;
  return () =>
    Promise.resolve({ status: 200, fields: [], body: null, ...count++ === 0 ? answer() : {} } satisfies Answer);
}

describe("HttpServer: answers", () => {
  for (const { does, when, request = GET, answer, bytes, closes } of rows) {
    it(`HttpServer ${does} when ${when}`, async () => {
      await ServerStage.run(first(answer), {}, async (stage) => {
        const client = await stage.connect();
        client.send(request);
        await client.expect(bytes);
        if (closes) return client.expectEnd();
        client.send(GET);
        await client.expect(NEXT);
      });
    });
  }

  it("HttpServer writes head and body in one segment when the body is whole and small", async () => {
    await ServerStage.run(always(200, [], "hello"), {}, async (stage) => {
      const client = await stage.connect();
      for (let count = 1; count <= 20; count++) {
        client.send(GET);
        await client.expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert.equal(client.reader.chunkLengths.length, count);
      }
    });
  });

  it("HttpServer sends the head when the body's first chunk is not there yet", async () => {
    const source = new FedBody();
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (let count = 0; count < 5; count++) {
        source.push(`data: ${count}\n\n`);
        await client.expect(`9\r\ndata: ${count}\n\n\r\n`);
      }
      source.end();
      await client.expect("0\r\n\r\n");
    });
  });

  it("HttpServer cancels a body's source when the answer has no body", async () => {
    for (const [request, status] of [[HEAD, 200], [GET, 204], [GET, 304]] as const) {
      const source = new FedBody();
      await ServerStage.run(always(status, [], source.stream), {}, async (stage) => {
        const client = await stage.connect();
        client.send(request);
        await client.reader.readUntil("\r\n\r\n");
        assert.equal((source.canceled as { code: string }).code, "answer_complete");
        assert.equal(stage.asked[0].signal.aborted, false);
      });
    }
  });
});

describe("HttpServer: interim answers", () => {
  it("HttpServer writes an interim answer at once when the handler has one", async () => {
    let finish = () => {};
    const handler: Handler = (head) => {
      head.onInformational?.(103, ["Link", "</a>"]);
      return new Promise((resolve) => finish = () => resolve({ status: 200, fields: [], body: null }));
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
      stage.asked[0].head.onInformational?.(102, []);
      await client.expect("HTTP/1.1 102 Processing\r\n\r\n");
      finish();
      await client.expect(NEXT);
      stage.asked[0].head.onInformational?.(103, []);
      client.send(GET);
      await client.expect("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    });
  });

  it("HttpServer offers no interim answers when the client speaks HTTP/1.0", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      client.send(OLD);
      await client.expectEnd("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      assert.equal(stage.asked[0].head.onInformational, undefined);
    });
  });

  it("HttpServer drops interim answers when the client does not take them", async () => {
    await ServerStage.run(() => new Promise(() => {}), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      const { head } = await stage.called();
      const fields = ["X", "x".repeat(1000)];
      for (let count = 0; count < 10_000; count++) head.onInformational?.(103, fields);
      assert.ok(stage.sockets[0].bufferedBytes < 512 * 1024, `${stage.sockets[0].bufferedBytes} bytes wait`);
      client.socket.resume();
      await eventually(() => stage.sockets[0].bufferedBytes === 0);
      head.onInformational?.(102, []);
      await client.reader.readUntil("HTTP/1.1 102 Processing\r\n\r\n");
    });
  });

  it("RequestHead.onInformational throws when the status is no interim one", async () => {
    const handler: Handler = (head) => {
      for (const status of [99, 101, 200, 100.5]) assert.throws(() => head.onInformational?.(status, []), /status/);
      return Promise.resolve({ status: 200, fields: [], body: null });
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect(NEXT);
    });
  });
});
