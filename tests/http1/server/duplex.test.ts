import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Handler } from "../../../src/http/message.ts";
import { bytesOf, eventually, latin1, steady } from "../../support/net.ts";
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
  streamOf,
  whole,
} from "./server_stage.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";

describe("HttpServer: full duplex", () => {
  it("HttpServer echoes each chunk when request and answer run at once", async () => {
    await ServerStage.run(echo, {}, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost());
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (let count = 100; count < 200; count++) {
        client.send(`3\r\n${count}\r\n`);
        await client.expect(`3\r\n${count}\r\n`);
      }
      client.send("0\r\n\r\n");
      await client.expect("0\r\n\r\n");
      client.send(GET);
      await client.expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
  });

  it("HttpServer lets the handler read on when its answer ended before the request", async () => {
    let text: Promise<string> | null = null;
    const handler: Handler = (_head, body) => {
      text ??= bodyText(body);
      return Promise.resolve({ status: 202, fields: ["Content-Length", "2"], body: streamOf("ok") });
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10));
      await client.expect("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
      client.send("hello");
      client.send(`world${GET}`);
      await client.expect("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
      assert.equal(await text, "helloworld");
      assert.equal(stage.asked[0].signal.aborted, false);
    });
  });

  it("HttpServer aborts when the client leaves before the rest that the handler reads", async () => {
    let text: Promise<string> | null = null;
    const handler: Handler = (_head, body) => {
      text = bodyText(body);
      text.catch(() => {});
      return Promise.resolve({ status: 202, fields: [], body: null });
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10, "hello"));
      await client.expectEnd("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      client.socket.end();
      await eventually(() => stage.asked[0].signal.aborted);
      await assert.rejects(text as unknown as Promise<string>, { code: "client_closed" });
      await stage.empty();
    });
  });
});

describe("HttpServer: early answers", () => {
  it("HttpServer delivers an early 413 and takes the rest for a while when an upload goes on", async () => {
    await ServerStage.run(always(413), {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10_000_000));
      for (let count = 0; count < 40; count++) client.socket.write(new Uint8Array(64 * 1024));
      await client.expectEnd("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      await eventually(() => client.socket.bufferedBytes === 0);
      await assert.rejects(bodyText(stage.asked[0].body), { code: "answer_complete" });
      assert.equal(stage.asked[0].signal.aborted, false);
      assert.equal(stage.server.connections, 1);
      stage.clock.advance(5_000);
      await client.expectGone();
      await stage.empty();
    });
  });

  it("HttpServer takes the rest of an upload for as long as it moves, up to lingerTotalMs", async () => {
    await ServerStage.run(always(413), {}, async (stage) => {
      const client = await stage.connect();
      const head = post(10_000_000);
      client.send(head);
      await client.expectEnd("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      for (let sent = 1; sent <= 6; sent++) {
        client.send("x");
        await stage.received(head.length + sent);
        stage.clock.advance(4_999);
        assert.equal(stage.server.connections, 1);
      }
      stage.clock.advance(6);
      client.send("x");
      await client.expectGone();
      await stage.empty();
    });
  });

  it("HttpServer takes the rest of an upload of 64 MiB", async () => {
    await ServerStage.run(always(413), {}, async (stage) => {
      const client = await stage.connect();
      const head = post(64 * 1024 * 1024);
      client.send(head);
      client.socket.write(new Uint8Array(64 * 1024 * 1024));
      await stage.received(head.length + 64 * 1024 * 1024);
      await client.expectEnd("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
  });

  it("HttpServer resets when a client goes on past lingerBytes", async () => {
    await ServerStage.run(always(413), { lingerBytes: 100_000 }, async (stage) => {
      const client = await stage.connect();
      client.send(post(10_000_000));
      await client.expectEnd("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      client.socket.write(new Uint8Array(100_001));
      await client.expectGone();
      await stage.empty();
    });
  });

  it("HttpServer takes the rest and goes on when the handler cancels the body and the client finishes it", async () => {
    let answer = (_: Answer) => {};
    const handler: Handler = async (_head, body) => {
      if (!(body instanceof ReadableStream)) return { status: 200, fields: [], body: null };
      await body.cancel();
      return new Promise((resolve) => answer = resolve);
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(1_000_000));
      await stage.called();
      client.socket.write(new Uint8Array(1_000_000));
      client.send(GET);
      await stage.received(post(1_000_000).length + 1_000_000 + GET.length);
      answer({ status: 200, fields: [], body: streamOf("ok") });
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
      await client.expect(EMPTY);
    });
  });

  it("HttpServer lingers when the handler cancels the body behind its answer", async () => {
    let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
    const handler: Handler = (_head, body) => {
      reader = readerOf(body);
      return Promise.resolve({ status: 200, fields: [], body: streamOf("ok") });
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send(post(10));
      await client.expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
      await (reader as unknown as ReadableStreamDefaultReader).cancel();
      await client.expectEnd();
      stage.clock.advance(5_000);
      await stage.empty();
    });
  });
});

describe("HttpServer: pipelining", () => {
  it("HttpServer answers in order and one at a time when requests are pipelined", async () => {
    let running = 0;
    const handler: Handler = async (head, body) => {
      assert.equal(++running, 1);
      const text = await bodyText(body);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return { status: 200, fields: [], body: bytesOf(`${head.target} ${text}`) };
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      let expected = "";
      for (let count = 0; count < 50; count++) {
        client.send(post(3, String(100 + count)) + chunkedPost(`3\r\n${200 + count}\r\n0\r\n\r\n`) + "\r\n" + GET);
        expected += whole(`/up ${100 + count}`) + whole(`/up ${200 + count}`) + whole("/ ");
      }
      await client.expect(expected);
    });
  });

  it("HttpServer serves a neighbor between pipelined requests when they are answered at once", async () => {
    const order: string[] = [];
    let onFirst = () => {};
    const handler: Handler = ({ target }) => {
      order.push(target);
      if (order.length === 1) onFirst();
      return Promise.resolve({ status: 204, fields: [], body: null });
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const [greedy, neighbor] = [await stage.connect(), await stage.connect()];
      const count = 2_000;
      onFirst = () => {
        neighbor.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
        neighbor.socket.flush();
      };
      greedy.send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n".repeat(count));
      greedy.socket.flush();
      await eventually(() => order.length === count + 1, { deadlineMs: 20_000 });
      assert.ok(order.indexOf("/one") < count / 2, `behind ${order.indexOf("/one")} others`);
      greedy.socket.end();
      await eventually(() => greedy.reader.sawEnd);
    });
  });

  it("HttpServer answers all pipelined requests when the client's FIN is behind them", async () => {
    const handler: Handler = () => Promise.resolve({ status: 204, fields: [], body: null });
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100));
      client.socket.end();
      const all = latin1(await client.reader.readAll());
      assert.equal(all.split("HTTP/1.1 204").length - 1, 100);
    });
  });

  it("HttpServer answers the same when pipelined requests come byte by byte", async () => {
    const handler: Handler = async (head, body) => {
      return { status: 200, fields: [], body: bytesOf(`${head.target} ${await bodyText(body)}`) };
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      for (const char of post(3, "abc") + chunkedPost("3\r\ndef\r\n0\r\n\r\n") + GET) {
        client.send(char);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.expect(whole("/up abc") + whole("/up def") + whole("/ "));
    });
  });

  it("HttpServer keeps the order when several reads wait and a body ends within one of them", async () => {
    let answer = (_: Answer) => {};
    const handler: Handler = async (head, body) => {
      if (head.target === "/") return new Promise((resolve) => answer = resolve);
      return { status: 200, fields: [], body: bytesOf(`${head.target} ${await bodyText(body)}`) };
    };
    await ServerStage.run(handler, {}, async (stage) => {
      const client = await stage.connect();
      const reads = [GET, post(6, "abc"), `def${chunkedPost("3\r\nghi\r\n0\r\n\r\n")}GET /a HTTP/1.1\r\n`];
      let bytes = 0;
      for (const read of [...reads, "Host: a\r\n\r\nGET /b HTTP/1.1\r\n", "Host: a\r\n\r\n"]) {
        client.send(read);
        await stage.received(bytes += read.length);
      }
      answer({ status: 200, fields: [], body: null });
      await client.expect(EMPTY + whole("/up abcdef") + whole("/up ghi") + whole("/a ") + whole("/b "));
    });
  });

  it("HttpServer stops reading past pipelineBytes when the first request is still served", async () => {
    let answer = (_: Answer) => {};
    const handler: Handler = (head, body, signal) =>
      head.target === "/" ? new Promise((resolve) => answer = resolve) : echoTarget(head, body, signal);
    await ServerStage.run(handler, { pipelineBytes: 1000 }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await stage.called();
      client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000));
      for (let count = 0; count < 384; count++) client.socket.write(new Uint8Array(64 * 1024));
      const unsent = await steady(() => client.socket.bufferedBytes);
      assert.ok(unsent > 8 * 1024 * 1024, `only ${unsent} of 24 MiB wait at the client`);
      assert.equal(stage.asked.length, 1);
      answer({ status: 200, fields: [], body: null });
      await client.expect(EMPTY + whole("/next").repeat(1000));
      assert.match(await client.reader.readUntil("\r\n"), /^HTTP\/1\.1 400 /);
    });
  });
});

describe("HttpServer: slow clients", () => {
  it("HttpServer stops reading the answer's source when the client does not read", async () => {
    const chunk = new Uint8Array(64 * 1024);
    const count = 1024;
    const source = new FedBody((source) => source.pulls > count ? source.end() : source.push(chunk));
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      const pulls = await steady(() => source.pulls);
      assert.ok(pulls * chunk.length < 16 * 1024 * 1024, `${pulls} chunks were read and nobody takes them`);
      assert.ok(stage.sockets[0].bufferedBytes < 1024 * 1024, `${stage.sockets[0].bufferedBytes} bytes wait`);
      client.socket.resume();
      await client.reader.readUntil("\r\n\r\n");
      const framing = "10000\r\n".length + "\r\n".length;
      await client.reader.read(count * (chunk.length + framing));
      await client.expect("0\r\n\r\n");
    });
  });

  it("HttpServer cuts a client off that does not read when the answer's source breaks off", async () => {
    const source = new FedBody((source) => source.push(new Uint8Array(64 * 1024)));
    await ServerStage.run(always(200, [], source.stream), {}, async (stage) => {
      const client = await stage.connect({ paused: true });
      client.send(GET);
      await steady(() => source.pulls);
      source.fail(new Error("cut"));
      await eventually(() => client.reader.sawClose);
      assert.equal((await client.reader.closed)?.code, "connection_reset");
    });
  });
});
