import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Handler } from "../../../src/http/message.ts";
import type { Socket } from "../../../src/net/mod.ts";
import { eventually, latin1, SocketReader } from "../../support/net.ts";
import { always, GET, ServerStage } from "./server_stage.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";

const ASK = "GET /raw HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: foo/2\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nUpgrade: foo/2\r\nConnection: Upgrade\r\n\r\n";

function switching(source: FedBody | null): Handler {
  return always101({ body: source === null ? null : source.stream });
}

function always101(part: Partial<Answer>): Handler {
  return () => Promise.resolve({ status: 101, fields: ["X-A", "1"], body: null, upgrade: "foo/2", ...part });
}

function read(body: unknown): ReadableStreamDefaultReader<Uint8Array> {
  assert.ok(body instanceof ReadableStream);
  return body.getReader();
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return latin1((await reader.read()).value ?? new Uint8Array(0));
}

describe("HttpServer: upgrades", () => {
  it("HttpServer carries raw bytes both ways when the handler answers 101", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      const { head, body, signal } = stage.asked[0];
      assert.equal(head.upgrade, "foo/2");
      const reader = read(body);
      client.send("\x00\xff\r\n\r\n");
      assert.equal(await next(reader), "\x00\xff\r\n\r\n");
      source.push("\x81\x00");
      await client.expect("\x81\x00");
      stage.clock.advance(3_600_000);
      source.end();
      await client.expectEnd();
      client.send("behind the FIN");
      assert.equal(await next(reader), "behind the FIN");
      client.socket.end();
      assert.equal((await reader.read()).done, true);
      await stage.empty();
      assert.equal(signal.aborted, false);
    });
  });

  it("HttpServer sends on when the client's FIN comes first", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      client.send("last");
      client.socket.end();
      assert.equal(await bodyText(stage.asked[0].body), "last");
      assert.equal(stage.asked[0].signal.aborted, false);
      source.push("still here");
      await client.expect("still here");
      source.end();
      await client.expectEnd();
      await stage.empty();
      assert.equal(stage.asked[0].signal.aborted, false);
    });
  });

  it("HttpServer ends its side at once when a 101 has no body", async () => {
    await ServerStage.run(switching(null), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK + "early");
      await client.expectEnd(SWITCH);
      client.socket.end();
      assert.equal(await bodyText(stage.asked[0].body), "early");
      await stage.empty();
    });
  });

  it("HttpServer gives bytes sent before the answer to the upgrade when it is 101", async () => {
    let answer = (_: Answer) => {};
    const handler: Handler = () => new Promise((resolve) => answer = resolve);
    const source = new FedBody();
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK + "one");
      const reader = read((await stage.called()).body);
      const first = next(reader);
      client.send("two");
      await stage.received(ASK.length + 6);
      answer(await always101({ body: source.stream })(stage.asked[0].head, null, stage.asked[0].signal));
      await client.expect(SWITCH);
      let text = await first;
      while (text.length < 6) text += await next(reader);
      assert.equal(text, "onetwo");
    });
  });

  it("HttpServer takes what follows as requests when the upgrade is refused", async () => {
    await ServerStage.run(always(403), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK + GET);
      await client.expect("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".repeat(2));
      assert.equal(await bodyText(stage.asked[0].body), "");
      assert.equal(stage.asked[1].head.target, "/");
    });
  });

  it("HttpServer answers 502 when a 101 was not asked for or names another token", async () => {
    const source = new FedBody();
    await ServerStage.run(always101({ upgrade: "bar", body: source.stream }), {}, async (stage) => {
      const client = await stage.connect();
      for (const request of [GET, ASK]) {
        client.send(request);
        await client.reader.readUntil("502 Bad Gateway\n");
      }
      assert.equal((source.canceled as { code: string }).code, "upstream_invalid");
    });
  });

  const content = '{"Tty":false}';
  const POST = `POST /raw HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo/2\r\n` +
    `Content-Length: ${content.length}\r\n\r\n${content}`;

  it("HttpServer gives the content, and the raw bytes behind it after a 101, wherever the bytes are cut", async () => {
    const text = POST + "raw";
    for (let cut = text.indexOf("\r\n\r\n"); cut <= text.length; cut++) {
      const source = new FedBody();
      const read: string[] = [];
      const handler: Handler = async (head, body, signal) => {
        const reader = (body as ReadableStream<Uint8Array>).getReader();
        while (read.join("").length < content.length) read.push(await next(reader));
        assert.equal(read.join(""), content, "nothing of the raw bytes comes before the answer");
        void (async () => {
          while (read.join("").length < content.length + 3) read.push(await next(reader));
          source.end();
        })();
        return await switching(source)(head, body, signal);
      };
      await ServerStage.run(handler, {}, async (stage) => {
        const client = await stage.connect();
        client.send(text.slice(0, cut));
        await stage.received(cut);
        client.send(text.slice(cut));
        await client.expectEnd(SWITCH);
        client.socket.end();
        await stage.empty();
      });
      assert.equal(read.join(""), content + "raw");
    }
  });

  it("HttpServer ends the body behind the content when the upgrade is refused, and serves what follows", async () => {
    const bodies: string[] = [];
    const handler: Handler = async (_head, body) => {
      if (body instanceof ReadableStream) {
        const reader = body.getReader();
        bodies.push(await next(reader));
        queueMicrotask(async () => bodies.push(await next(reader)));
      }
      return { status: 404, fields: [], body: null };
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(POST + GET + POST);
      await client.expect("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".repeat(3));
      await eventually(() => bodies.length === 4);
      assert.deepEqual(bodies, [content, "", content, ""]);
      assert.deepEqual(stage.asked.map(({ head }) => head.target), ["/raw", "/", "/raw"]);
    });
  });

  it("HttpServer takes no more requests when an upgraded connection's two bodies are over", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      source.end();
      await client.expectEnd();
      await (stage.asked[0].body as ReadableStream).cancel();
      client.send(GET);
      client.socket.end();
      await stage.empty();
      assert.equal(stage.asked.length, 1);
    });
  });

  it("HttpServer gives its socket away only when the request's body is here", async () => {
    const handler = always101({ takeSocket: () => assert.fail("the body is not here") });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(POST.slice(0, -1));
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 /);
      client.socket.reset();
    });
  });

  it("HttpServer aborts when the client resets an upgraded connection", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      const pending = read(stage.asked[0].body).read();
      client.socket.reset();
      await assert.rejects(pending, { code: "client_reset" });
      assert.equal(stage.asked[0].signal.aborted, true);
      assert.equal((source.canceled as { code: string }).code, "client_reset");
      await stage.empty();
    });
  });

  it("HttpServer resets when the upgraded answer's body fails", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      source.fail(new Error("severed"));
      await client.expectReset();
      await assert.rejects(bodyText(stage.asked[0].body), { code: "answer_failed" });
      await stage.empty();
    });
  });

  it("HttpServer cancels when a client sends FIN before the answer", async () => {
    await ServerStage.run(() => new Promise(() => {}), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      const { signal } = await stage.called();
      client.socket.end();
      await eventually(() => signal.aborted);
      await stage.empty();
    });
  });

  it("HttpServer reads on and throws away when the handler cancels the client's raw bytes", async () => {
    const source = new FedBody();
    await ServerStage.run(switching(source), {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.expect(SWITCH);
      await (stage.asked[0].body as ReadableStream).cancel();
      for (let count = 0; count < 200; count++) client.socket.write(new Uint8Array(64 * 1024));
      await eventually(() => client.socket.bufferedBytes === 0);
      source.push("ok");
      await client.expect("ok");
    });
  });

  it("HttpServer hands the socket over with what it had read when the answer takes it", async () => {
    let taken: { socket: Socket; rest: Uint8Array } | null = null;
    const handler = always101({ takeSocket: (socket, rest) => void (taken = { socket, rest }) });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK + "early");
      await client.expect(SWITCH);
      assert.equal(stage.server.connections, 0);
      assert.equal(stage.clock.pending, 0);
      const { socket, rest } = taken as unknown as { socket: Socket; rest: Uint8Array };
      assert.equal(latin1(rest), "early");
      assert.equal(await bodyText(stage.asked[0].body), "");
      const reader = new SocketReader(socket);
      client.send("late");
      assert.equal(latin1(await reader.read(4)), "late");
      stage.server.close();
      socket.write(new TextEncoder().encode("mine now"));
      await client.expect("mine now");
      socket.reset();
      await client.expectReset();
      assert.equal(stage.asked[0].signal.aborted, false);
    });
  });

  it("HttpServer resets when the new owner of a socket throws", async () => {
    const failure = new Error("not now");
    const handler = always101({
      takeSocket: () => {
        throw failure;
      },
    });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(ASK);
      await client.reader.closed;
      assert.deepEqual(stage.errors, [failure]);
      await stage.empty();
    });
  });
});
