import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Flag } from "../../../src/httpstream/wire/mod.ts";
import { uncheckedBlock } from "../../support/header_block.ts";
import { eventually } from "../../support/net.ts";
import { openExchange } from "../../../src/session/v2/open.ts";
import { encode, head, never, source, text, withScriptedAgent } from "./stage.ts";

type Stage = Awaited<ReturnType<typeof withScriptedAgent>>;

/** Asserts that the connection still carries exchanges, and holds nothing of those before. */
async function goesOn({ agent, ask, connection }: Stage): Promise<void> {
  const { answer, id } = await ask(head({ id: "next" }));
  agent.send((m) => m.headers(id, [":status", "204"], Flag.END_STREAM));
  assert.equal((await answer).status, 204);
  await eventually(() => connection.streams === 0);
  assert.equal(connection.bufferedBytes, 0);
}

describe("openExchange with a scripted agent that breaks the rules", () => {
  const bodies = [
    { sent: ["ab"], announced: "3" },
    { sent: ["abcd"], announced: "3" },
    { sent: [], announced: "1" },
    { sent: ["a"], announced: "x" },
  ];
  for (const { sent, announced } of bodies) {
    it(`rejects a whole answer of ${sent.join("").length} bytes with Content-Length ${JSON.stringify(announced)}`, async () => {
      const stage = await withScriptedAgent();
      const { answer, id } = await stage.ask();
      stage.agent.send((m) => {
        m.headers(id, [":status", "200", "Content-Length", announced], sent.length === 0 ? Flag.END_STREAM : 0);
        for (const words of sent) m.data(id, encode(words), true);
      });
      await assert.rejects(answer, { code: "upstream_invalid" });
      await goesOn(stage);
      await stage.close();
    });
  }

  const manyFields = Array.from({ length: 140 }, (_, index) => [`X-${index}`, "v"]).flat();
  const tooLarge = { name: "ExchangeError", code: "head_too_large" };

  it("rejects with head_too_large when an agent of the version before takes no such head, and goes on", async () => {
    const stage = await withScriptedAgent();
    for (const fields of [manyFields, ["X", "v".repeat(66_000)]]) {
      for (const body of [null, encode("x"), source().body]) {
        await assert.rejects(openExchange(stage.connection, head({ fields }), body, never), {
          ...tooLarge,
          reason: /^The tunnel's agent takes no such head: Header block of \d+ (fields|bytes) exceeds (128|65536)$/,
        });
      }
    }
    await goesOn(stage);
    await stage.close();
  });

  it("rejects with head_too_large when the agent takes no such trailers, and goes on", async () => {
    const stage = await withScriptedAgent();
    const trailers = () => manyFields;
    await assert.rejects(openExchange(stage.connection, head({ trailers }), encode("x"), never), tooLarge);
    const fed = source();
    const { answer } = await stage.ask(head({ trailers }), fed.body);
    fed.end();
    await assert.rejects(answer, tooLarge);
    await eventually(() => stage.connection.streams === 0);
    assert.equal(stage.connection.bufferedBytes, 0);
    await stage.close();
  });

  it("gives the reason phrase, and what a 426 asks for", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    const fields = [":protocol", "a/1,b", ":status", "426", ":reason", "Use it", "X", "1"];
    stage.agent.send((m) => m.headers(id, fields, Flag.END_STREAM));
    const { status, reason, upgrade, fields: given } = await answer;
    assert.deepEqual([status, reason, upgrade, given], [426, "Use it", "a/1,b", ["X", "1"]]);
    await stage.close();
  });

  it("breaks a streamed body off at the first byte beyond its Content-Length", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    stage.agent.send((m) => m.headers(id, [":status", "200", "Content-Length", "4"], 0));
    const reader = ((await answer).body as ReadableStream<Uint8Array>).getReader();
    stage.agent.send((m) => m.data(id, encode("abc"), false));
    assert.equal((await reader.read()).value?.length, 3);
    stage.agent.send((m) => m.data(id, encode("de"), true));
    await assert.rejects(reader.read(), { code: "upstream_invalid" });
    await stage.agent.expectFrame("RST_STREAM", { streamId: id, errorCode: ErrorCode.PROTOCOL_ERROR });
    await goesOn(stage);
    await stage.close();
  });

  it("breaks a streamed body off that ends short of its Content-Length", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    stage.agent.send((m) => m.headers(id, [":status", "200", "Content-Length", "4"], 0));
    const body = (await answer).body;
    stage.agent.send((m) => m.data(id, encode("abc"), true));
    await assert.rejects(text(body), { code: "upstream_invalid" });
    await goesOn(stage);
    await stage.close();
  });

  for (const [method, status] of [["HEAD", "200"], ["GET", "204"], ["GET", "304"]] as const) {
    it(`takes any Content-Length where ${method} is answered with ${status}`, async () => {
      const stage = await withScriptedAgent();
      const { answer, id } = await stage.ask(head({ method }));
      const fields = [":status", status, "Content-Length", "12345"];
      stage.agent.send((m) => m.headers(id, fields, Flag.END_STREAM));
      assert.deepEqual((await answer).fields, ["Content-Length", "12345"]);
      await goesOn(stage);
      await stage.close();
    });
  }

  it("takes a body of exactly its Content-Length, in pieces", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    stage.agent.send((m) => m.headers(id, [":status", "200", "Content-Length", "5"], 0));
    const body = (await answer).body;
    for (const words of ["ab", "c", "de"]) stage.agent.send((m) => m.data(id, encode(words), false));
    stage.agent.send((m) => m.data(id, new Uint8Array(0), true));
    assert.equal(await text(body), "abcde");
    await goesOn(stage);
    await stage.close();
  });

  it("breaks the body off when the agent breaks its direction alone", async () => {
    const stage = await withScriptedAgent();
    const upload = source();
    const { answer, id } = await stage.ask(head({ method: "POST" }), upload.body);
    stage.agent.send((m) => {
      m.headers(id, [":status", "200"], 0);
      m.data(id, encode("half"), false);
    });
    const reader = ((await answer).body as ReadableStream<Uint8Array>).getReader();
    assert.equal((await reader.read()).value?.length, 4);
    const next = reader.read();
    stage.agent.send((m) => m.rstStream(id, ErrorCode.UPSTREAM_CLOSED, true));
    await assert.rejects(next, { code: "upstream_closed" });
    upload.end();
    await goesOn(stage);
    await stage.close();
  });

  it("rejects when the agent breaks its direction alone before its answer", async () => {
    const stage = await withScriptedAgent();
    const upload = source();
    const { answer, id } = await stage.ask(head({ method: "POST" }), upload.body);
    stage.agent.send((m) => m.rstStream(id, ErrorCode.UPSTREAM_REFUSED, true));
    await assert.rejects(answer, { code: "upstream_refused" });
    await eventually(() => upload.canceled.length === 1);
    await goesOn(stage);
    await stage.close();
  });

  it("passes 16 interim answers on and drops the rest", async () => {
    const stage = await withScriptedAgent();
    let interim = 0;
    const { answer, id } = await stage.ask(head({ onInformational: () => interim++ }));
    stage.agent.send((m) => {
      for (let count = 0; count < 40; count++) m.headers(id, [":status", "103"], Flag.INFORMATIONAL);
    });
    stage.agent.send((m) => m.headers(id, [":status", "200"], Flag.END_STREAM));
    assert.equal((await answer).status, 200);
    assert.equal(interim, 16);
    await goesOn(stage);
    await stage.close();
  });

  it("keeps framing and routing fields out of the trailers", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    stage.agent.send((m) => {
      m.headers(id, [":status", "200"], 0);
      m.data(id, encode("x"), false);
      const trailers = ["X-Sum", "7", "Content-Length", "1", "Set-Cookie", "a=b", "Forwarded", "for=x", "TE", "x"];
      m.headers(id, trailers, Flag.TRAILERS | Flag.END_STREAM);
    });
    const { body, trailers } = await answer;
    assert.equal(await text(body), "x");
    assert.deepEqual(trailers?.(), ["X-Sum", "7"]);
    await goesOn(stage);
    await stage.close();
  });

  it("rejects an unsolicited 101", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    stage.agent.send((m) => m.headers(id, [":status", "101"], 0));
    await assert.rejects(answer, { code: "upstream_invalid" });
    await stage.agent.expectFrame("RST_STREAM", { streamId: id });
    await goesOn(stage);
    await stage.close();
  });

  it("asks for an upgrade by :protocol, and gives the agent's refusal as the answer that it is", async () => {
    const stage = await withScriptedAgent();
    const raw = source();
    const { answer, id, opening } = await stage.ask(head({ upgrade: "websocket" }), raw.body);
    assert.equal(opening.fields[opening.fields.indexOf(":protocol") + 1], "websocket");
    assert.equal(opening.flags, 0);
    stage.agent.send((m) => {
      m.headers(id, [":status", "403", "Content-Length", "2"], 0);
      m.data(id, encode("no"), true);
    });
    const refusal = await answer;
    assert.deepEqual([refusal.status, refusal.upgrade], [403, undefined]);
    assert.equal(await text(refusal.body), "no");
    raw.end();
    await goesOn(stage);
    await stage.close();
  });

  for (
    const [what, fields] of [
      ["no :status", ["X", "1"]],
      ["a :status of four digits", [":status", "2000"]],
      ["a :status with a line break", [":status", "20\n"]],
      ["a value with a line break", [":status", "200", "X", "1\r\nSet-Cookie: stolen=1"]],
      ["a name with a line break", [":status", "200", "X\r\nY", "1"]],
      ["a Transfer-Encoding", [":status", "200", "Transfer-Encoding", "chunked"]],
      ["a Connection", [":status", "200", "Connection", "close"]],
    ] as const
  ) {
    it(`rejects an answer with ${what}, and goes on`, async () => {
      const stage = await withScriptedAgent();
      const { answer, id } = await stage.ask();
      stage.agent.sendRaw({ type: "HEADERS", flags: Flag.END_STREAM, streamId: id, payload: uncheckedBlock(fields) });
      await assert.rejects(answer, (error: { code: string }) => /^upstream_(invalid|failed)$/.test(error.code));
      await goesOn(stage);
      await stage.close();
    });
  }

  it("rejects with what the reset says, before and in the midst of the answer", async () => {
    const stage = await withScriptedAgent();
    const first = await stage.ask();
    stage.agent.send((m) => m.rstStream(first.id, ErrorCode.UPSTREAM_TIMEOUT));
    await assert.rejects(first.answer, { code: "upstream_timeout" });
    const second = await stage.ask();
    stage.agent.send((m) => m.headers(second.id, [":status", "200"], 0));
    const { body } = await second.answer;
    stage.agent.send((m) => m.rstStream(second.id, ErrorCode.UPSTREAM_CLOSED));
    await assert.rejects(text(body), { code: "upstream_closed" });
    await goesOn(stage);
    await stage.close();
  });

  it("sends the trailers of a body that was whole from the start", async () => {
    const stage = await withScriptedAgent();
    const request = head({ method: "POST", trailers: () => ["X-Sum", "3"] });
    const { answer, id, opening } = await stage.ask(request, encode("abc"));
    assert.equal(opening.flags, 0);
    await stage.agent.expectFrame("DATA", { endStream: false });
    const end = await stage.agent.expectFrame("HEADERS", { flags: Flag.TRAILERS | Flag.END_STREAM });
    assert.deepEqual(end.fields, ["X-Sum", "3"]);
    stage.agent.send((m) => m.headers(id, [":status", "204"], Flag.END_STREAM));
    await answer;
    await goesOn(stage);
    await stage.close();
  });

  it("stops the upload at STOP_SENDING, and takes the answer all the same", async () => {
    const stage = await withScriptedAgent();
    const upload = source();
    const { answer, id } = await stage.ask(head({ method: "POST" }), upload.body);
    stage.agent.send((m) => m.stopSending(id, ErrorCode.NO_ERROR));
    await stage.agent.expectFrame("RST_STREAM", { streamId: id, half: true });
    assert.equal(upload.canceled.length, 1);
    stage.agent.send((m) => {
      m.headers(id, [":status", "413"], 0);
      m.data(id, encode("too much"), true);
    });
    const early = await answer;
    assert.deepEqual([early.status, await text(early.body)], [413, "too much"]);
    await goesOn(stage);
    await stage.close();
  });

  it("resets the stream with CLIENT_GONE in the same event-loop tick in which the client goes", async () => {
    const stage = await withScriptedAgent();
    const gone = new AbortController();
    const { answer, id } = await stage.ask(head(), null, gone.signal);
    gone.abort(new Error("left"));
    await assert.rejects(answer, /left/);
    await stage.agent.expectFrame("RST_STREAM", { streamId: id, errorCode: ErrorCode.CLIENT_GONE });
    await goesOn(stage);
    await stage.close();
  });

  it("rejects with tunnel_offline once the agent said that it leaves", async () => {
    const stage = await withScriptedAgent();
    stage.agent.send((m) => m.goAway(0x7fff_ffff, ErrorCode.NO_ERROR, "bye"));
    await eventually(() => stage.connection.draining);
    await assert.rejects(stage.session.open(head(), null, never), { code: "tunnel_offline" });
    await stage.close();
  });

  it("rejects with overloaded what the agent never processed", async () => {
    const stage = await withScriptedAgent();
    const first = await stage.ask();
    const second = await stage.ask();
    stage.agent.send((m) => m.goAway(first.id, ErrorCode.NO_ERROR, "bye"));
    await assert.rejects(second.answer, { code: "overloaded" });
    stage.agent.send((m) => m.headers(first.id, [":status", "204"], Flag.END_STREAM));
    assert.equal((await first.answer).status, 204);
    await stage.close();
  });
});
