import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import { ErrorCode, Flag, SettingId } from "../../../src/httpstream/wire/mod.ts";
import { UpstreamError } from "../../../src/http/upstream_error.ts";
import type { Answer, Body, Handler, RequestHead } from "../../../src/http/message.ts";
import { eventually } from "../../support/net.ts";
import { encode, opening, source, text, withScriptedEdge } from "./stage.ts";

/** A handler that records what it is given, and answers when the test says so. */
function upstream() {
  const asked: { head: RequestHead; body: Body; signal: CancelSignal }[] = [];
  let answer!: (answer: Answer) => void;
  let refuse!: (error: unknown) => void;
  const answered = new Promise<Answer>((resolve, reject) => {
    answer = resolve;
    refuse = reject;
  });
  const handler: Handler = (head, body, signal) => {
    asked.push({ head, body, signal });
    return answered;
  };
  return { handler, asked, answer, refuse };
}

describe("serveExchange with a scripted edge", () => {
  it("refuses a stream without :path, and serves the next one", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, [":method", "GET"], Flag.END_STREAM));
    await stage.edge.expectFrame("RST_STREAM", { streamId: 2 });
    stage.edge.send((m) => m.headers(4, opening(), Flag.END_STREAM));
    behind.answer({ status: 204, fields: [], body: null });
    await stage.edge.expectFrame("HEADERS", { streamId: 4, fields: [":status", "204"], flags: Flag.END_STREAM });
    assert.equal(behind.asked.length, 1);
    await stage.close();
  });

  for (const [sent, announced] of [["ab", "3"], ["abcd", "3"], ["", "3"], ["a", "nought"]]) {
    it(`does not ask for a whole body of ${sent!.length} bytes with Content-Length ${announced}`, async () => {
      const behind = upstream();
      const stage = await withScriptedEdge(behind.handler);
      stage.edge.send((m) => {
        const fields = opening(["Content-Length", announced!], "POST");
        m.headers(2, fields, sent === "" ? Flag.END_STREAM : 0);
        if (sent !== "") m.data(2, encode(sent!), true);
      });
      await stage.edge.expectFrame("RST_STREAM", { streamId: 2 });
      assert.equal(behind.asked.length, 0);
      await stage.close();
    });
  }

  it("breaks a streamed body off that ends short of its Content-Length", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(["Content-Length", "4"], "POST"), 0));
    await eventually(() => behind.asked.length === 1);
    const { body, signal } = behind.asked[0]!;
    stage.edge.send((m) => m.data(2, encode("abc"), true));
    await assert.rejects(text(body), { code: "upstream_invalid" });
    await stage.edge.expectFrame("RST_STREAM", { streamId: 2, errorCode: ErrorCode.PROTOCOL_ERROR });
    assert.equal(signal.aborted, true);
    behind.refuse(new Error("over"));
    await stage.close();
  });

  it("breaks the request's body off when the edge breaks its direction alone", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening([], "POST"), 0));
    await eventually(() => behind.asked.length === 1);
    const read = text(behind.asked[0]!.body);
    stage.edge.send((m) => m.rstStream(2, ErrorCode.CLIENT_GONE, true));
    await assert.rejects(read, { name: "ExchangeError" });
    behind.answer({ status: 400, fields: [], body: null });
    await stage.edge.expectFrame("HEADERS", { fields: [":status", "400"] });
    await eventually(() => stage.connection.streams === 0);
    await stage.close();
  });

  it("gives the upgrade's token and raw bytes to the handler", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, [":method", "GET", ":path", "/", ":protocol", "chat"], 0));
    await eventually(() => behind.asked.length === 1);
    const { head, body } = behind.asked[0]!;
    assert.equal(head.upgrade, "chat");
    assert.ok(body instanceof ReadableStream);
    behind.answer({ status: 101, fields: [], upgrade: "chat", body });
    await stage.edge.expectFrame("HEADERS", { fields: [":status", "101", ":protocol", "chat"], flags: 0 });
    stage.edge.send((m) => m.data(2, encode("hello"), true));
    // The end comes with the bytes, or behind them.
    const first = await stage.edge.expectFrame("DATA");
    assert.equal(first.payload.length, 5);
    if (!first.endStream) await stage.edge.expectFrame("DATA", { endStream: true });
    await stage.close();
  });

  it("aborts the handler's signal and its answer at a reset, and keeps the slot until the handler has finished", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    await eventually(() => behind.asked.length === 1);
    stage.edge.send((m) => m.rstStream(2, ErrorCode.CLIENT_GONE));
    await eventually(() => behind.asked[0]!.signal.aborted);
    assert.equal(stage.connection.acceptedStreams, 1);
    const late = source();
    behind.answer({ status: 200, fields: [], body: late.body });
    await eventually(() => late.canceled.length === 1 && stage.connection.acceptedStreams === 0);
    assert.equal(stage.connection.bufferedBytes, 0);
    await stage.close();
  });

  it("cancels the answer's body when the edge takes no more of it", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    const body = source();
    behind.answer({ status: 200, fields: [], body: body.body });
    await stage.edge.expectFrame("HEADERS");
    stage.edge.send((m) => m.stopSending(2, ErrorCode.CANCEL));
    await eventually(() => body.canceled.length === 1 && stage.connection.streams === 0);
    await stage.close();
  });

  it("cancels the answer's body when the edge stopped it before its head", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    stage.edge.send((m) => m.stopSending(2, ErrorCode.CANCEL));
    await eventually(() => behind.asked.length === 1);
    await stage.edge.expectFrame("RST_STREAM", { streamId: 2, half: true });
    const body = source();
    behind.answer({ status: 200, fields: [], body: body.body });
    await eventually(() => body.canceled.length === 1 && stage.connection.streams === 0);
    await stage.close();
  });

  it("breaks the answer off when its body does, although the edge has given no credit for more", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    const body = source();
    behind.answer({ status: 200, fields: [], body: body.body });
    body.push("x".repeat(100_000));
    await stage.edge.expectFrame("HEADERS", { streamId: 2 });
    for (let left = 64 * 1024; left > 0;) left -= (await stage.edge.expectFrame("DATA")).payload.length;
    body.fail(new UpstreamError("upstream_reset", "cut"));
    await stage.edge.expectFrame("RST_STREAM", { streamId: 2, errorCode: ErrorCode.UPSTREAM_CLOSED });
    await eventually(() => stage.connection.streams === 0);
    await stage.close();
  });

  it("cancels an answer whose head the wire cannot carry", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    const body = source();
    behind.answer({ status: 200, fields: ["X", "x".repeat(70_000)], body: body.body });
    await stage.edge.expectFrame("RST_STREAM", { streamId: 2 });
    assert.equal(body.canceled.length, 1);
    await eventually(() => stage.connection.streams === 0);
    await stage.close();
  });

  const manyFields = Array.from({ length: 200 }, (_, index) => [`X-${index}`, "v"]).flat();
  const tooLarge = [["more fields", manyFields], ["more bytes", ["X", "v".repeat(66_000)]]] as const;
  for (const [what, fields] of tooLarge) {
    it(`resets one exchange, and says why, when an answer has ${what} than an edge of the version before takes`, async () => {
      const errors: Error[] = [];
      const late = source();
      const stage = await withScriptedEdge(
        (head) => {
          const isLarge = head.target === "/large";
          if (isLarge) head.onInformational?.(103, fields);
          return Promise.resolve({ status: 200, fields: isLarge ? fields : [], body: isLarge ? late.body : null });
        },
        [],
        errors,
      );
      stage.edge.send((m) => m.headers(2, [":method", "GET", ":path", "/large"], Flag.END_STREAM));
      await stage.edge.expectFrame("RST_STREAM", { streamId: 2, errorCode: ErrorCode.UPSTREAM_INVALID });
      assert.equal(late.canceled.length, 1);
      assert.match(String(errors[0]), /answer's head cannot be passed on: Header block of \d+ (fields|bytes) exceeds/);
      stage.edge.send((m) => m.headers(4, opening(), Flag.END_STREAM));
      await stage.edge.expectFrame("HEADERS", { streamId: 4, fields: [":status", "200"] });
      assert.equal(errors.length, 1);
      await stage.close();
    });

    it(`sends an answer with ${what} to an edge that takes them`, async () => {
      const errors: Error[] = [];
      const settings = [SettingId.MAX_HEADER_BLOCK, 131_072, SettingId.MAX_FIELDS, 512];
      const stage = await withScriptedEdge(
        (head) => {
          head.onInformational?.(103, fields);
          return Promise.resolve({ status: 200, fields, body: null });
        },
        settings,
        errors,
      );
      stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
      await stage.edge.expectFrame("HEADERS", { fields: [":status", "103", ...fields] });
      await stage.edge.expectFrame("HEADERS", { fields: [":status", "200", ...fields] });
      assert.deepEqual(errors, []);
      await stage.close();
    });
  }

  it("resets one exchange when its trailers are more than the edge takes", async () => {
    const stage = await withScriptedEdge(() => {
      const body = source();
      body.push("x");
      body.end();
      return Promise.resolve({ status: 200, fields: [], body: body.body, trailers: () => manyFields });
    });
    stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
    await stage.edge.until(() => stage.edge.frames.some((frame) => frame.type === "RST_STREAM"), "the reset");
    await eventually(() => stage.connection.streams === 0);
    stage.edge.send((m) => m.ping(new Uint8Array(8), false));
    await stage.edge.until(() => stage.edge.frames.some((frame) => frame.type === "PING"), "a sign of life");
    await stage.close();
  });

  it("names a reason phrase to an edge that takes it, and what a 426 asks for to any", async () => {
    const answer: Answer = { status: 426, reason: "Use it", fields: [], body: null, upgrade: "a/1, b" };
    for (const [features, phrase] of [[1, [":reason", "Use it"]], [0, []], [0xffff_fffe, []]] as const) {
      const stage = await withScriptedEdge(() => Promise.resolve(answer), [SettingId.FEATURES, features]);
      stage.edge.send((m) => m.headers(2, opening(), Flag.END_STREAM));
      await stage.edge.expectFrame("HEADERS", { fields: [":status", "426", ...phrase, ":protocol", "a/1,b"] });
      await stage.close();
    }
  });

  it("stops an upload that the handler never began to read, behind its answer", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => {
      m.headers(2, opening([], "POST"), 0);
      m.data(2, encode("first"), false);
    });
    behind.answer({ status: 401, fields: [], body: encode("who?") });
    // Control frames leave first.
    await stage.edge.expectFrame("STOP_SENDING", { streamId: 2, errorCode: ErrorCode.NO_ERROR });
    await stage.edge.expectFrame("HEADERS", { fields: [":status", "401"] });
    await stage.edge.expectFrame("DATA", { endStream: true });
    stage.edge.send((m) => m.rstStream(2, ErrorCode.NO_ERROR, true));
    await eventually(() => stage.connection.streams === 0);
    await stage.close();
  });

  it("reads an upload on behind its answer where the handler reads it", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => m.headers(2, opening([], "POST"), 0));
    await eventually(() => behind.asked.length === 1);
    const read = text(behind.asked[0]!.body);
    behind.answer({ status: 200, fields: [], body: null });
    await stage.edge.expectFrame("HEADERS", { flags: Flag.END_STREAM });
    stage.edge.send((m) => m.data(2, encode("late"), true));
    assert.equal(await read, "late");
    await eventually(() => stage.connection.streams === 0);
    await stage.close();
  });

  it("gives the request's trailers without framing and routing fields", async () => {
    const behind = upstream();
    const stage = await withScriptedEdge(behind.handler);
    stage.edge.send((m) => {
      m.headers(2, opening([], "POST"), 0);
      m.data(2, encode("x"), false);
      m.headers(2, ["X-Sum", "1", "Authorization", "Bearer x", "Content-Length", "9"], Flag.TRAILERS | Flag.END_STREAM);
    });
    await eventually(() => behind.asked.length === 1);
    const { head, body } = behind.asked[0]!;
    assert.equal(await text(body), "x");
    assert.deepEqual(head.trailers?.(), ["X-Sum", "1"]);
    behind.answer({ status: 204, fields: [], body: null });
    await stage.edge.expectFrame("HEADERS", { fields: [":status", "204"] });
    await stage.close();
  });
});
