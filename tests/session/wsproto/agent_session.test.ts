import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import { UpstreamError } from "../../../src/http/upstream_error.ts";
import type { Answer, Body, Handler, RequestHead } from "../../../src/http/message.ts";
import { count } from "../../../src/memory/mod.ts";
import { JsonAgentSession, type JsonAgentSessionOptions } from "../../../src/session/wsproto/agent_session.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";
import { FakeClock } from "../../support/clock.ts";
import { FakeJsonLink } from "../../support/json_link.ts";
import { bytesOf, eventually, latin1, patternBytes } from "../../support/net.ts";

interface Stage {
  link: FakeJsonLink;
  clock: FakeClock;
  session: JsonAgentSession;
}

const features = ["http_response_abort"];

function start(upstream: Handler, options: Partial<JsonAgentSessionOptions> = {}): Stage {
  const link = new FakeJsonLink("agent");
  const clock = new FakeClock();
  return { link, clock, session: new JsonAgentSession(link, { upstream, features, clock, ...options }) };
}

function answering(answer: Partial<Answer>): Handler {
  return () => Promise.resolve({ status: 200, fields: [], body: null, ...answer });
}

const never: Handler = () => new Promise(() => {});
const request = { type: "http_request", request_id: "1", method: "GET", path: "/", headers: { Host: "a.test" } };
const base64 = (text: string) => btoa(text);

/** Runs what is due now. */
async function ticks(): Promise<void> {
  for (let tick = 0; tick < 5; tick++) await new Promise((resolve) => setImmediate(resolve));
}

function streamOf(...texts: string[]): ReadableStream<Uint8Array> {
  return new FedBody((fed) => texts.length > 0 ? fed.push(texts.shift()!) : fed.end()).stream;
}

describe("JsonAgentSession", () => {
  it("asks the upstream for what the frame says", async () => {
    const asked: [RequestHead, Body][] = [];
    const { link } = start((head, body) => {
      asked.push([head, body]);
      return never(head, body, new AbortController().signal);
    });
    const headers = { HOST: "a.test:81", Cookie: "a=1; b=2", Connection: "x-hop", "X-Hop": "1", "X-Price": "5 €" };
    Object.defineProperty(headers, "__proto__", { value: "p", enumerable: true });
    link.receive({ ...request, method: "POST", path: "/a", query: "b=\xff", headers, body_b64: base64("in\xff") });
    const [head, body] = asked[0];
    assert.deepEqual([head.method, head.target, head.authority, head.id], ["POST", "/a?b=\xff", "a.test:81", "1"]);
    assert.deepEqual(head.fields, ["Cookie", "a=1; b=2", "X-Price", "5 \xe2\x82\xac", "__proto__", "p"]);
    assert.equal(await bodyText(body), "in\xff");
  });

  it("calls a request by its X-Request-ID where the edge says that it writes that, and answers by request_id", async () => {
    for (const [announced, requestId] of [[["request_id"], "seen-1"], [[], undefined]] as const) {
      const asked: RequestHead[] = [];
      const { link } = start((head) => {
        asked.push(head);
        return Promise.resolve({ status: 200, fields: [], body: null });
      }, { features: announced });
      link.receive({ ...request, headers: { Host: "a.test", "X-Request-ID": "seen-1" } });
      await ticks();
      assert.deepEqual([asked[0]!.id, asked[0]!.requestId], ["1", requestId]);
      assert.equal((link.sent[0] as Record<string, unknown>).request_id, "1");
    }
  });

  it("takes and gives strings as UTF-8 when the edge announces no features", async () => {
    const asked: RequestHead[] = [];
    const fields = ["X-Name", "caf\xc3\xa9", "X-Price", "5 \xe2\x82\xac"];
    const { link } = start((head) => {
      asked.push(head);
      return Promise.resolve({ status: 200, fields, body: null });
    }, { features: [] });
    link.receive({ ...request, path: "/é", query: "é", headers: { "X-Name": "café" } });
    assert.deepEqual((await link.next()).headers, { "X-Name": "café", "X-Price": "5 €" });
    assert.deepEqual([asked[0].target, asked[0].fields], ["/\xc3\xa9?\xc3\xa9", ["X-Name", "caf\xc3\xa9"]]);
  });

  it("joins challenges with a newline when the edge announces challenge_lines, else with a comma", async () => {
    for (const [announced, joined] of [[["challenge_lines"], "A\nB"], [features, "A, B"]] as const) {
      const { link } = start(answering({ fields: ["WWW-Authenticate", "A", "WWW-Authenticate", "B"] }), {
        features: announced,
      });
      link.receive(request);
      assert.deepEqual((await link.next()).headers, { "WWW-Authenticate": joined });
    }
  });

  const streamed: [string, Partial<Answer>][] = [
    ["it has no length", { body: streamOf("ab", "c") }],
    ["it is SSE, whatever its length", {
      fields: ["Content-Type", "text/event-stream; charset=utf-8", "Content-Length", "3"],
      body: streamOf("ab", "c"),
    }],
    ["it is NDJSON", { fields: ["content-type", "application/x-ndjson"], body: streamOf("ab", "c") }],
    ["its body comes behind its head, however short it is", {
      fields: ["Content-Length", "3"],
      body: streamOf("ab", "c"),
    }],
    ["its length is over 64 KiB", { fields: ["Content-Length", "65537"], body: streamOf("ab", "c") }],
  ];
  for (const [when, answer] of streamed) {
    it(`streams an answer when ${when}`, async () => {
      const { link } = start(answering(answer));
      link.receive(request);
      const startFrame = await link.next();
      assert.equal(startFrame.type, "http_response_start");
      assert.equal(startFrame.status, 200);
      assert.deepEqual(await link.next(), { type: "http_response_chunk", request_id: "1", data_b64: base64("ab") });
      assert.deepEqual(await link.next(), { type: "http_response_chunk", request_id: "1", data_b64: base64("c") });
      assert.deepEqual(await link.next(), { type: "http_response_end", request_id: "1" });
    });
  }

  const whole: [string, Partial<Answer>, string][] = [
    ["it has no body", { status: 204 }, ""],
    ["its body is bytes without a length", { body: bytesOf("abc") }, "abc"],
    ["its body is bytes with their length", { fields: ["Content-Length", "1"], body: bytesOf("\xff") }, "\xff"],
    ["it answers HEAD with a great length", { fields: ["Content-Length", "999999"] }, ""],
  ];
  for (const [when, answer, text] of whole) {
    it(`sends one http_response when ${when}`, async () => {
      const { link, session } = start(answering(answer));
      link.receive({ ...request, method: answer.fields?.[1] === "999999" ? "HEAD" : "GET" });
      const frame = await link.next();
      assert.equal(frame.type, "http_response");
      assert.equal(frame.status, answer.status ?? 200);
      assert.equal(frame.body_b64, base64(text));
      await eventually(() => session.active === 0);
      assert.deepEqual(link.sent, []);
    });
  }

  it("sends head and chunk of a short answer at once, and streams bytes of over 64 KiB as one chunk", async () => {
    const body = new FedBody();
    const slow = start(answering({ fields: ["Content-Length", "4"], body: body.stream }));
    slow.link.receive(request);
    assert.equal((await slow.link.next()).type, "http_response_start");
    body.push("ab");
    assert.equal((await slow.link.next()).data_b64, base64("ab"));
    const { link, session } = start(answering({ fields: ["Content-Length", "65537"], body: patternBytes(65_537) }));
    link.receive(request);
    await eventually(() => session.active === 0);
    assert.deepEqual(link.sentTypes, ["http_response_start", "http_response_chunk", "http_response_end"]);
  });

  it("sends the reason phrase and what a 426 asks for, whole or streamed", async () => {
    for (const body of [null, streamOf("ab")]) {
      const { link } = start(answering({ status: 426, reason: "Use it", upgrade: "a/1,b", fields: ["X", "1"], body }));
      link.receive(request);
      const { reason, headers } = await link.next();
      assert.deepEqual([reason, headers], ["Use it", { X: "1", Upgrade: "a/1,b" }]);
    }
    const { link } = start(answering({ upgrade: "h2c" }));
    link.receive(request);
    const frame = await link.next();
    assert.deepEqual(Object.keys(frame), ["type", "request_id", "status", "headers", "body_b64"]);
    assert.deepEqual(frame.headers, {});
  });

  it("frees a large body when it has sent it, whole or as a chunk", async () => {
    for (const length of [20_000, 70_000]) {
      const body = count(patternBytes(length));
      const { link, session } = start(answering({ body }));
      link.receive(request);
      await eventually(() => session.active === 0);
      const { body_b64, data_b64 } = link.sent.find((frame) => "body_b64" in frame || "data_b64" in frame)!;
      assert.equal(atob((body_b64 ?? data_b64) as string), latin1(patternBytes(length)));
      assert.equal(body.length, 0);
    }
  });

  for (const [text, length] of [["ab", "3"], ["x".repeat(70_000), "3"], ["abcd", "3"]]) {
    it(`answers upstream_invalid when the body has ${text.length} bytes and Content-Length says ${length}`, async () => {
      const { link } = start(answering({ fields: ["Content-Length", length], body: bytesOf(text) }));
      link.receive(request);
      const { message: _, ...frame } = await link.next();
      assert.deepEqual(frame, { type: "http_response_abort", request_id: "1", code: "upstream_invalid" });
    });
  }

  it("tells a failure before the head by http_response_abort when the edge announced it", async () => {
    const { link } = start(() => Promise.reject(new UpstreamError("upstream_refused", "no listener")));
    link.receive(request);
    assert.deepEqual(await link.next(), {
      type: "http_response_abort",
      request_id: "1",
      message: "no listener",
      code: "upstream_refused",
    });
  });

  it("makes the answer itself when the edge did not announce http_response_abort", async () => {
    const refuse = () => Promise.reject(new UpstreamError("upstream_timeout", "10.0.0.7 was too slow"));
    const { link } = start(refuse, { features: [] });
    link.receive(request);
    const frame = await link.next();
    assert.deepEqual([frame.type, frame.status], ["http_response", 504]);
    assert.equal((frame.headers as Record<string, string>)["X-Runnel-Error"], "upstream_timeout");
    const problem = JSON.parse(atob(frame.body_b64 as string));
    // Visitors see it as it is.
    assert.deepEqual([problem.code, problem.detail], ["upstream_timeout", problem.title]);
  });

  it("breaks a streamed answer off by http_response_abort, or with the link where the edge does not know that", async () => {
    for (const announced of [features, []]) {
      const body = new FedBody();
      const { link } = start(answering({ body: body.stream }), { features: announced });
      link.receive(request);
      body.push("a");
      await link.next();
      await link.next();
      body.fail(new UpstreamError("upstream_closed", "cut"));
      if (announced.length > 0) assert.equal((await link.next()).type, "http_response_abort");
      else await eventually(() => link.aborted);
      assert.deepEqual(link.sent, []);
    }
  });

  it("stops the upstream, and sends nothing more, when the request is canceled", async () => {
    let signal!: CancelSignal;
    const body = new FedBody();
    const { link, session } = start((_head, _body, given) => {
      signal = given;
      return Promise.resolve({ status: 200, fields: [], body: body.stream });
    });
    link.receive(request);
    await link.next();
    link.receive({ type: "http_request_cancel", request_id: "1" });
    assert.equal(signal.aborted, true);
    await eventually(() => body.canceled !== undefined && session.active === 0);
    assert.deepEqual(link.sent, []);
  });

  it("cancels an answer that comes behind the cancellation", async () => {
    let answer!: (answer: Answer) => void;
    const { link, session } = start(() => new Promise((resolve) => answer = resolve));
    link.receive(request);
    link.receive({ type: "http_request_cancel", request_id: "1" });
    const body = new FedBody();
    answer({ status: 200, fields: [], body: body.stream });
    await eventually(() => body.canceled !== undefined && session.active === 0);
    assert.deepEqual(link.sent, []);
  });

  it("reads the upstream on only when the link takes more", async () => {
    const body = new FedBody((fed) => fed.pulls <= 12 ? fed.push("x") : fed.end());
    const { link, session } = start(answering({ body: body.stream }));
    link.isWritable = false;
    link.receive(request);
    await eventually(() => body.pulls === 1);
    await ticks();
    assert.deepEqual([link.sentTypes, body.pulls, session.bufferedBytes], [["http_response_start"], 1, 1]);
    for (let taken = 1; taken <= 3; taken++) {
      link.handlers.onDrain();
      await eventually(() => body.pulls === 1 + taken);
      await ticks();
      assert.deepEqual([link.sent.length, body.pulls, session.bufferedBytes], [1 + taken, 1 + taken, 1]);
    }
    link.drain();
    await eventually(() => link.sent.length === 14);
    assert.equal(session.bufferedBytes, 0);
  });

  it("holds one frame or chunk of each answer while the link takes nothing, and sends short ones first", async () => {
    const bodies: FedBody[] = [];
    const { link, session } = start(({ id }) => {
      if (id.startsWith("short")) return Promise.resolve({ status: 200, fields: [], body: bytesOf("ok") });
      const body = new FedBody((fed) => fed.push(patternBytes(100_000)));
      bodies.push(body);
      return Promise.resolve({ status: 200, fields: [], body: body.stream });
    });
    link.isWritable = false;
    for (let index = 0; index < 5; index++) link.receive({ ...request, request_id: `long ${index}` });
    for (let taken = 0; taken < 4; taken++) {
      await ticks();
      link.handlers.onDrain();
    }
    await eventually(() => bodies.length === 5 && bodies.every(({ pulls }) => pulls === 1));
    assert.deepEqual(link.sentTypes, Array(5).fill("http_response_start"));
    const before = link.sent.length;
    for (let index = 0; index < 3; index++) link.receive({ ...request, request_id: `short ${index}` });
    await ticks();
    assert.equal(link.sent.length, before);
    assert.ok(session.bufferedBytes <= 5 * 100_000 + 3 * 2_000, `${session.bufferedBytes} bytes wait`);
    assert.ok(session.bufferedBytes >= 5 * 100_000);
    for (let taken = 0; taken < 3; taken++) link.handlers.onDrain();
    assert.deepEqual(link.sent.slice(before).map((frame) => frame.request_id), ["short 0", "short 1", "short 2"]);
    assert.equal(session.active, 5 + 3);
    await eventually(() => session.active === 5);
    link.lose();
    await eventually(() => session.active === 0);
    assert.equal(session.bufferedBytes, 0);
  });

  it("drops what waits for the link when its request is canceled, or its body breaks off", async () => {
    for (const way of ["canceled", "broken"]) {
      const body = new FedBody((fed) => fed.pulls === 1 && fed.push("abc"));
      const { link, session } = start(answering({ body: body.stream }));
      link.isWritable = false;
      link.receive(request);
      await eventually(() => session.bufferedBytes === 3);
      if (way === "canceled") link.receive({ type: "http_request_cancel", request_id: "1" });
      else body.fail(new UpstreamError("upstream_closed", "cut"));
      await eventually(() => session.active === 0);
      link.drain();
      const told = way === "canceled" ? [] : ["http_response_abort"];
      assert.deepEqual([link.sentTypes, session.bufferedBytes], [["http_response_start", ...told], 0]);
    }
  });

  it("sends a chunk of any length in frames of 192 KiB", async () => {
    const body = patternBytes(500_000);
    const { link, session } = start(answering({ body }));
    link.receive(request);
    await eventually(() => session.active === 0);
    const chunks = link.sent.filter(({ type }) => type === "http_response_chunk").map(({ data_b64 }) =>
      atob(`${data_b64}`)
    );
    assert.deepEqual(chunks.map(({ length }) => length), [196_608, 196_608, 106_784]);
    assert.equal(chunks.join(""), latin1(body));
    assert.deepEqual(link.sentTypes.slice(-1), ["http_response_end"]);
  });

  it("answers overloaded when the bodies of requests without an answer are too many bytes", async () => {
    const waiting: ((answer: Answer) => void)[] = [];
    const { link } = start(() => new Promise((resolve) => waiting.push(resolve)), { bodyLimitBytes: 5 });
    const post = (id: string) => link.receive({ ...request, request_id: id, method: "POST", body_b64: base64("abc") });
    post("1");
    post("2");
    const refusal = await link.next();
    assert.deepEqual([refusal.request_id, refusal.status], ["2", 503]);
    link.receive({ ...request, request_id: "3" });
    assert.equal(waiting.length, 2);
    waiting[0]({ status: 204, fields: [], body: null });
    assert.equal((await link.next()).request_id, "1");
    post("4");
    assert.equal(waiting.length, 3);
  });

  it("ends when the edge sends requests without end, and takes no answers", async () => {
    const { link, session } = start(never, { maxActive: 1 });
    link.isWritable = false;
    for (let id = 0; id < 2_000 && link.closedWith === null; id++) link.receive({ ...request, request_id: `${id}` });
    assert.equal(link.closedWith?.code, 1008);
    assert.equal((await session.closed).code, "closed");
    assert.ok(link.sent.length <= 1_026, `${link.sent.length} refusals`);
  });

  it("answers overloaded when too many requests are under way", async () => {
    const { link } = start(never, { maxActive: 1 });
    link.receive(request);
    link.receive({ ...request, request_id: "2" });
    const frame = await link.next();
    assert.deepEqual([frame.request_id, frame.status], ["2", 503]);
  });

  it("closes with the reason when an id is used twice", async () => {
    const { link, session, clock } = start(never);
    link.receive(request);
    link.receive(request);
    assert.equal(link.closedWith?.code, 1002);
    assert.equal((await session.closed).code, "bad_frame");
    assert.equal(clock.pending, 0);
  });

  it("aborts what runs, and asks for nothing more, when the link is gone", async () => {
    const signals: CancelSignal[] = [];
    const { link, session } = start((_head, _body, signal) => {
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener("abort", reject));
    });
    link.receive(request);
    link.lose({ reason: "gone" });
    assert.deepEqual(await session.closed, { code: "link_closed", reason: "gone" });
    assert.equal(signals[0].aborted, true);
    link.receive({ ...request, request_id: "2" });
    assert.equal(signals.length, 1);
    await eventually(() => session.active === 0);
  });

  it("gives the edge up when it is silent for 25 s", async () => {
    const { link, clock, session } = start(never);
    clock.advance(25_000);
    assert.equal(link.aborted, true);
    assert.equal((await session.closed).code, "edge_silent");
  });

  it("closes behind its last answer when it drains", async () => {
    let answer!: (answer: Answer) => void;
    const { link, session } = start(() => new Promise((resolve) => answer = resolve));
    link.receive(request);
    const drained = session.drain();
    assert.equal(link.closedWith?.code, undefined);
    answer({ status: 204, fields: [], body: null });
    await eventually(() => link.closedWith !== null);
    link.lose();
    await drained;
    assert.deepEqual(link.sentTypes, ["http_response"]);
    assert.equal(link.closedWith?.code, 1001);
  });

  it("announces that it drains to an edge that knows it, and closes only behind the requests that were on their way", async () => {
    const asked: ((answer: Answer) => void)[] = [];
    const { link, session, clock } = start(() => new Promise((resolve) => asked.push(resolve)), {
      features: ["draining"],
    });
    const drained = session.drain();
    assert.deepEqual([link.sentTypes, link.pings], [["draining"], 1]);
    link.receive(request);
    link.pong();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(link.closedWith?.code, undefined);
    asked[0]({ status: 204, fields: [], body: null });
    await eventually(() => link.closedWith !== null);
    assert.deepEqual([link.sentTypes, link.closedWith?.code], [["draining", "http_response"], 1001]);
    link.lose();
    await drained;
    assert.equal(clock.pending, 0);
  });

  it("closes when it drains and the edge does not answer the ping", async () => {
    const { link, session, clock } = start(never, { features: ["draining"] });
    const drained = session.drain();
    clock.advance(25_000);
    link.lose();
    await drained;
    assert.equal(clock.pending, 0);
  });

  it("tells that it was replaced when the link closes with 4001", async () => {
    const { link, session } = start(never);
    link.lose({ code: 4001, reason: "Replaced: by force", clean: true });
    assert.deepEqual(await session.closed, { code: "replaced", reason: "Replaced: by force" });
  });
});
