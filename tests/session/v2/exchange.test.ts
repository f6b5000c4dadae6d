import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExchangeError } from "../../../src/http/problems.ts";
import { openExchange } from "../../../src/session/v2/open.ts";
import type { Body, RequestHead } from "../../../src/http/message.ts";
import { eventually } from "../../support/net.ts";
import { encode, head, joined, never, source, text } from "./stage.ts";

describe("an exchange on a stream", () => {
  it("carries head and fields both ways, and a whole answer as bytes", async () => {
    let seen: RequestHead | null = null;
    const pair = joined((request) => {
      seen = request;
      return Promise.resolve({ status: 201, fields: ["X-A", "1", "X-A", "2"], body: encode("hello") });
    });
    const answer = await openExchange(pair.edge, head(), null, never);
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.fields, ["X-A", "1", "X-A", "2"]);
    assert.ok(answer.body instanceof Uint8Array);
    assert.equal(await text(answer.body), "hello");
    const { onInformational: _, trailers: __, ...facts } = seen!;
    const unset = {
      isProxied: undefined,
      requestId: undefined,
      upgrade: undefined,
      visitorConnection: undefined,
      tunnel: undefined,
      meter: undefined,
    };
    assert.deepEqual(facts, { ...head(), ...unset });
    await pair.close();
  });

  it("gives a request without a body none, and a whole one as bytes", async () => {
    const bodies: Body[] = [];
    const pair = joined((_head, body) => {
      bodies.push(body);
      return Promise.resolve({ status: 204, fields: [], body: null });
    });
    await openExchange(pair.edge, head(), null, never);
    await openExchange(pair.edge, head({ method: "POST" }), encode("abc"), never);
    assert.equal(bodies[0], null);
    assert.equal(await text(bodies[1]), "abc");
    await pair.close();
  });

  it("is full duplex: each chunk is echoed before the next is sent", async () => {
    const pair = joined((_head, body) => {
      return Promise.resolve({ status: 200, fields: [], body: body as ReadableStream<Uint8Array> });
    });
    const upload = source();
    upload.push("0");
    const answer = await openExchange(pair.edge, head({ method: "POST" }), upload.body, never);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    for (let round = 0; round < 100; round++) {
      const { value } = await reader.read();
      assert.equal(new TextDecoder().decode(value), String(round));
      if (round < 99) upload.push(String(round + 1));
    }
    upload.end();
    assert.equal((await reader.read()).done, true);
    await pair.close();
  });

  it("delivers an early answer and cancels the upload", async () => {
    const pair = joined(async (_head, body) => {
      await (body as ReadableStream).cancel();
      return { status: 413, fields: [], body: encode("too much") };
    });
    const upload = source();
    upload.push("a");
    const answer = await openExchange(pair.edge, head({ method: "POST" }), upload.body, never);
    assert.equal(answer.status, 413);
    assert.equal(await text(answer.body), "too much");
    await eventually(() => upload.canceled.length === 1);
    await pair.close();
  });

  it("passes interim answers and trailers", async () => {
    const pair = joined((request, body) => {
      request.onInformational?.(103, ["Link", "</a>"]);
      const { body: answer, push, end } = source();
      push("x");
      end();
      void body;
      return Promise.resolve({ status: 200, fields: [], body: answer, trailers: () => ["X-Sum", "7"] });
    });
    const interim: unknown[] = [];
    const answer = await openExchange(
      pair.edge,
      head({ onInformational: (status, fields) => interim.push([status, fields]) }),
      null,
      never,
    );
    assert.equal(await text(answer.body), "x");
    assert.deepEqual(interim, [[103, ["Link", "</a>"]]]);
    assert.deepEqual(answer.trailers?.(), ["X-Sum", "7"]);
    await pair.close();
  });

  for (
    const [code, expected] of [["upstream_refused", "upstream_refused"], ["upstream_timeout", "upstream_timeout"], [
      "overloaded",
      "overloaded",
    ]] as const
  ) {
    it(`tells that the upstream failed with ${code}`, async () => {
      const pair = joined(() => Promise.reject(new ExchangeError(code, "no")));
      await assert.rejects(openExchange(pair.edge, head(), null, never), { code: expected });
      await pair.close();
    });
  }

  it("breaks the body off where the upstream's breaks off", async () => {
    const upstream = source();
    const pair = joined(() => Promise.resolve({ status: 200, fields: [], body: upstream.body }));
    upstream.push("half");
    const answer = await openExchange(pair.edge, head(), null, never);
    upstream.fail(new ExchangeError("upstream_closed", "gone"));
    await assert.rejects(text(answer.body), { code: "upstream_closed" });
    await pair.close();
  });

  it("aborts the upstream's signal at once where the asking side goes", async () => {
    let aborted = false;
    const pair = joined((_head, _body, signal) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(signal.reason);
        });
      });
    });
    const gone = new AbortController();
    const asked = openExchange(pair.edge, head(), null, gone.signal);
    await eventually(() => pair.agent.streams === 1);
    gone.abort(new Error("left"));
    await assert.rejects(asked, /left/);
    await eventually(() => aborted && pair.agent.streams === 0 && pair.edge.streams === 0);
    await pair.close();
  });

  it("rejects with agent_lost where the link is cut", async () => {
    const pair = joined(() => new Promise(() => {}));
    const asked = openExchange(pair.edge, head(), null, never);
    await eventually(() => pair.agent.streams === 1);
    pair.links.cut();
    await assert.rejects(asked, { code: "agent_lost" });
    await pair.close();
  });

  it("carries an upgrade as raw bytes with half-close", async () => {
    const pair = joined((request, body) => {
      return Promise.resolve({
        status: 101,
        fields: [],
        upgrade: request.upgrade!,
        body: body as ReadableStream<Uint8Array>,
      });
    });
    const client = source();
    const answer = await openExchange(pair.edge, head({ upgrade: "chat" }), client.body, never);
    assert.equal(answer.status, 101);
    assert.equal(answer.upgrade, "chat");
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    client.push("ping");
    assert.equal(new TextDecoder().decode((await reader.read()).value), "ping");
    client.end();
    assert.equal((await reader.read()).done, true);
    await eventually(() => pair.edge.streams === 0);
    await pair.close();
  });

  it("leaves nothing behind where a body is canceled while its reader has a chunk of it", async () => {
    const pair = joined(async (_head, body) => {
      const reader = (body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      await reader.cancel();
      return { status: 413, fields: [], body: null };
    });
    const client = source();
    client.push("more than is wanted");
    assert.equal((await openExchange(pair.edge, head({ method: "POST" }), client.body, never)).status, 413);
    await eventually(() => client.canceled.length === 1);
    await eventually(() => pair.edge.streams === 0 && pair.agent.streams === 0);
    await pair.close();
  });

  it("leaves nothing behind after many exchanges", async () => {
    const pair = joined((_head, body) =>
      Promise.resolve({ status: 200, fields: [], body: body ?? encode("x".repeat(10_000)) })
    );
    await Promise.all(Array.from({ length: 500 }, async (_, index) => {
      const body = index % 2 === 0 ? null : encode("y".repeat(index * 100));
      const answer = await openExchange(pair.edge, head({ method: "POST" }), body, never);
      assert.equal((await text(answer.body)).length, index % 2 === 0 ? 10_000 : index * 100);
    }));
    await eventually(() => pair.edge.streams === 0 && pair.agent.streams === 0);
    assert.equal(pair.edge.bufferedBytes, 0);
    assert.equal(pair.agent.bufferedBytes, 0);
    await pair.close();
  });
});
