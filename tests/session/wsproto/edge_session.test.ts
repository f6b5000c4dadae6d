import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ExchangeError, type ProblemCode } from "../../../src/http/problems.ts";
import type { Answer, Body, RequestHead } from "../../../src/http/message.ts";
import { MemoryAccount } from "../../../src/httpstream/mod.ts";
import { count, release } from "../../../src/memory/mod.ts";
import { JsonEdgeSession, type JsonEdgeSessionOptions } from "../../../src/session/wsproto/edge_session.ts";
import { BodyReader, bodyText, FedBody, never, requestHead } from "../../support/client_requests.ts";
import { FakeClock } from "../../support/clock.ts";
import { FakeJsonLink } from "../../support/json_link.ts";
import { bytesOf, eventually, latin1, patternBytes } from "../../support/net.ts";

let link: FakeJsonLink;
let clock: FakeClock;

function startSession(options: Partial<JsonEdgeSessionOptions> = {}): JsonEdgeSession {
  link = new FakeJsonLink("edge");
  clock = new FakeClock();
  return new JsonEdgeSession(link, { id: "s1", features: [], clock, ...options });
}

function isProblem(code: ProblemCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ExchangeError, String(error));
    assert.equal(error.code, code, error.reason);
    return true;
  };
}

const base64 = (text: string) => btoa(text);

describe("JsonEdgeSession", () => {
  let session: JsonEdgeSession;
  beforeEach(() => void (session = startSession({ features: ["http_request_cancel"] })));

  const open = (head: Partial<RequestHead> = {}, body: Body = null, signal: AbortSignal = never) =>
    session.open(requestHead({ id: "1", ...head }), body, signal);
  const assertIdle = () => {
    assert.deepEqual([session.pending.size, session.streaming.size, session.active], [0, 0, 0]);
  };
  /** An answer that has begun. */
  const started = async (head: Partial<RequestHead> = {}, signal?: AbortSignal): Promise<Answer> => {
    const answer = open(head, null, signal);
    await link.next();
    link.receive({ type: "http_response_start", request_id: "1", status: 200, headers: {} });
    return await answer;
  };
  const chunk = (text: string) =>
    link.receive({ type: "http_response_chunk", request_id: "1", data_b64: base64(text) });
  const end = () => link.receive({ type: "http_response_end", request_id: "1" });

  it("ends with 1008 when messages of an unknown type come without end", async () => {
    for (let count = 0; count < 1_000; count++) link.receive({ type: "news" });
    assert.equal(link.closedWith, null);
    link.receive({ type: "news" });
    assert.equal(link.closedWith!.code, 1008);
    assert.equal((await session.closed).code, "flooded");
  });

  it("ends with 1008 when chunks for nobody come without end, and not when a few thousand are late", async () => {
    const late = () => link.receive({ type: "http_response_chunk", request_id: "gone", data_b64: base64("x") });
    for (let count = 0; count < 60_000; count++) late();
    assert.equal(link.closedWith, null);
    for (let count = 0; count < 5_000 && link.closedWith === null; count++) late();
    assert.equal(link.closedWith!.code, 1008);
    assert.equal((await session.closed).code, "flooded");
  });

  const targets: [target: string, path: string, query: string][] = [
    ["/", "/", ""],
    ["/x?a=b?c", "/x", "a=b?c"],
    ["/x?", "/x?", ""],
    ["*", "*", ""],
    ["/\xc3\xa9?q=\xff", "/\xc3\xa9", "q=\xff"],
  ];
  for (const [target, path, query] of targets) {
    it(`asks for path ${path} and query ${JSON.stringify(query)} when the target is ${target}`, async () => {
      open({ target }).catch(() => {});
      const frame = await link.next();
      assert.deepEqual([frame.path, frame.query], [path, query]);
    });
  }

  it("sends head and body in one frame, with the body's length where it was chunked", async () => {
    const body = new FedBody();
    open({ method: "POST", fields: ["X-A", "1", "x-a", "2"] }, body.stream).catch(() => {});
    body.push("ab");
    body.push("\xff");
    body.end();
    assert.deepEqual(await link.next(), {
      type: "http_request",
      request_id: "1",
      method: "POST",
      path: "/",
      query: "",
      headers: { Host: "a.test", "X-A": "1, 2", "Content-Length": "3" },
      body_b64: base64("ab\xff"),
    });
  });

  it("answers with a whole http_response", async () => {
    const answer = open();
    await link.next();
    assert.equal(session.pending.size, 1);
    const headers = { "Set-Cookie": "a=1\nb=2", "Content-Length": "2" };
    link.receive({ type: "http_response", request_id: "1", status: 201, headers, body_b64: base64("ok") });
    const { status, fields, body } = await answer;
    assert.equal(status, 201);
    assert.deepEqual(fields, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Content-Length", "2"]);
    assert.equal(await bodyText(body), "ok");
    assertIdle();
  });

  it("takes a reason phrase of either frame, and Upgrade of a 426 alone", async () => {
    const headers = { Upgrade: "a/1, b", Connection: "Upgrade" };
    const rows: [frame: Record<string, unknown>, reason: string | undefined, upgrade: string | undefined][] = [
      [{ status: 426, reason: "Use it", headers }, "Use it", "a/1,b"],
      [{ status: 200, reason: "OK", headers }, undefined, undefined],
      [{ status: 200, reason: "" }, "", undefined],
      [{ status: 404, reason: "Pas trouv\xe9 \u20ac" }, "Pas trouv\xc3\xa9 \xe2\x82\xac", undefined],
      [{ status: 404, reason: "Pas trouv\xe9" }, "Pas trouv\xe9", undefined],
      [{ status: 200, reason: "a\r\nSet-Cookie: b" }, undefined, undefined],
      [{ status: 200, reason: 404 }, undefined, undefined],
      [{ status: 200, reason: "x".repeat(8_193) }, undefined, undefined],
      [{ status: 426, headers: { Upgrade: "a b" } }, undefined, undefined],
    ];
    for (const [frame, reason, upgrade] of rows) {
      for (const type of ["http_response", "http_response_start"]) {
        const asked = open();
        await link.next();
        link.receive({ type, request_id: "1", headers: {}, ...frame });
        if (type === "http_response_start") end();
        const answer = await asked;
        assert.deepEqual([answer.reason, answer.upgrade, answer.fields], [reason, upgrade, []], JSON.stringify(frame));
        await bodyText(answer.body);
      }
    }
  });

  const lengths: [string, Partial<RequestHead>, number, readonly string[]][] = [
    ["drops", {}, 200, []],
    ["keeps", { method: "HEAD" }, 200, ["Content-Length", "9"]],
    ["keeps", {}, 304, ["Content-Length", "9"]],
  ];
  for (const [does, head, status, fields] of lengths) {
    it(`${does} a Content-Length that is not the whole body's when ${head.method ?? "GET"} gets ${status}`, async () => {
      const answer = open(head);
      await link.next();
      const headers = { "Content-Length": "9" };
      link.receive({ type: "http_response", request_id: "1", status, headers, body_b64: "" });
      assert.deepEqual((await answer).fields, fields);
    });
  }

  it("hands over each chunk of a streamed answer as it comes", async () => {
    const reader = new BodyReader(await started());
    assert.equal(session.streaming.size, 1);
    for (const text of ["a", "bc"]) {
      chunk(text);
      assert.equal(await reader.next(), text);
    }
    end();
    assert.equal(await reader.next(), null);
    assertIdle();
  });

  const large = "x".repeat(20_000);
  /** Whether its memory is freed. */
  const isFreed = (message: Uint8Array) => message.length === 0;

  it("frees a large chunk when its reader releases the data", async () => {
    const reader = ((await started()).body as ReadableStream<Uint8Array>).getReader();
    chunk(large);
    const { value } = await reader.read();
    assert.equal(latin1(value!), large);
    assert.equal(isFreed(link.lastMessage), false);
    release(value!);
    assert.equal(isFreed(link.lastMessage), true);
  });

  it("frees a large message at once when it is none but a chunk that somebody reads", async () => {
    chunk(large);
    assert.equal(isFreed(link.lastMessage), true);
    const reader = new BodyReader(await started());
    end();
    chunk(large);
    assert.equal(isFreed(link.lastMessage), true);
    assert.equal(await reader.next(), null);
    const answer = open();
    await link.next();
    link.receive({ type: "http_response", request_id: "1", status: 200, headers: {}, body_b64: base64(large) });
    assert.equal(isFreed(link.lastMessage), true);
    assert.equal(await bodyText((await answer).body), large);
    link.receiveText(`{"padding":"${large}"}`);
    assert.equal(isFreed(link.lastMessage), true);
    assert.equal(link.closedWith?.code, 1002);
  });

  it("frees a large request body when it has sent it", async () => {
    const body = count(patternBytes(20_000));
    open({ method: "POST" }, body).catch(() => {});
    assert.equal(atob((await link.next()).body_b64 as string), latin1(patternBytes(20_000)));
    assert.equal(isFreed(body), true);
  });

  it("ignores frames of ids that it does not know, and of types that it does not know", async () => {
    for (const type of ["http_response_end", "http_response_abort", "shiny_new"]) {
      link.receive({ type, request_id: "unknown" });
    }
    link.receive({ type: "http_response_chunk", request_id: "unknown", data_b64: base64("x") });
    link.receive({ type: "http_response", request_id: "unknown", status: 200, headers: {} });
    link.receive({ type: "http_response_start", request_id: "unknown", status: 200, headers: {} });
    assert.equal(link.closedWith?.code, undefined);
    const reader = new BodyReader(await started());
    end();
    chunk("late");
    assert.equal(await reader.next(), null);
  });

  for (const text of ["{", '{"type":"http_response_end"}', '{"type":"register","tunnel_id":"a","agent_token":"b"}']) {
    it(`closes with the reason, and loses what runs, when ${text} comes`, async () => {
      const answer = open();
      link.receiveText(text);
      await assert.rejects(answer, isProblem("agent_lost"));
      assert.equal(link.closedWith?.code, 1002);
      assert.notEqual(link.closedWith?.reason, "");
      assert.deepEqual(await session.closed, { code: "bad_frame", reason: link.closedWith?.reason });
      assertIdle();
      assert.equal(clock.pending, 0);
    });
  }

  it("loses what runs when the link is lost: no answer, and no clean end", async () => {
    const reader = new BodyReader(await started());
    const waiting = open({ id: "2" });
    await link.next();
    link.lose();
    await assert.rejects(waiting, isProblem("agent_lost"));
    await assert.rejects(reader.next(), isProblem("agent_lost"));
    await assert.rejects(open(), isProblem("agent_lost"));
    assert.equal((await session.closed).code, "link_closed");
    assertIdle();
    assert.equal(clock.pending, 0);
  });

  it("keeps an answer whole when the link is lost behind its end", async () => {
    const answer = await started();
    chunk("all");
    end();
    link.lose();
    assert.equal(await bodyText(answer.body), "all");
  });

  for (const [code, expected] of [["upstream_refused", "upstream_refused"], ["nonsense", "upstream_failed"]] as const) {
    it(`rejects with ${expected} when the agent says ${code}, without the agent's words`, async () => {
      const answer = open();
      await link.next();
      link.receive({ type: "http_response_abort", request_id: "1", message: "10.0.0.7 is down", code });
      await assert.rejects(answer, (error) => {
        assert.doesNotMatch((error as ExchangeError).reason, /10\.0/);
        return isProblem(expected)(error);
      });
      assertIdle();
    });
  }

  it("breaks an answer off when the agent says so", async () => {
    const reader = new BodyReader(await started());
    link.receive({ type: "http_response_abort", request_id: "1" });
    await assert.rejects(reader.next(), isProblem("upstream_failed"));
    assertIdle();
  });

  it("tells the agent when the asking side goes, before the head and behind it", async () => {
    const gone = new AbortController();
    const waiting = open({}, null, gone.signal);
    await link.next();
    gone.abort(new Error("gone"));
    await assert.rejects(waiting, /gone/);
    assert.deepEqual(await link.next(), { type: "http_request_cancel", request_id: "1" });
    const reader = new BodyReader(await started());
    await reader.cancel();
    assert.deepEqual(await link.next(), { type: "http_request_cancel", request_id: "1" });
    assertIdle();
  });

  it("tells nothing to an agent that did not announce http_request_cancel", async () => {
    session = startSession();
    const reader = new BodyReader(await started());
    await reader.cancel();
    assert.deepEqual(link.sent, []);
    assertIdle();
  });

  it("refuses an upgrade", async () => {
    await assert.rejects(open({ upgrade: "websocket" }), isProblem("upgrade_not_supported"));
    assert.deepEqual(link.sent, []);
  });

  it("passes an upgrade to several protocols, or with a body, as if it were not asked for", async () => {
    for (const [upgrade, length] of [["a,b", "0"], ["tcp", "3"]]) {
      const body = new FedBody((fed) => fed.push("abc"));
      const before = link.sent.length;
      const asked = open({ method: "POST", upgrade, fields: ["Content-Length", length] }, body.stream);
      asked.catch(() => {});
      await eventually(() => link.sent.length > before);
      const frame = link.sent[before];
      assert.deepEqual([frame.type, frame.method], ["http_request", "POST"]);
      assert.equal(atob(String(frame.body_b64)), length === "0" ? "" : "abc");
      assert.notEqual(body.canceled, undefined);
    }
  });

  it("refuses a body over the limit, and cancels the rest of it", async () => {
    session = startSession({ bodyLimitBytes: 4 });
    const body = new FedBody((fed) => fed.push("abc"));
    await assert.rejects(open({ method: "POST" }, body.stream), isProblem("body_too_large"));
    assert.equal(body.pulls, 2);
    await assert.rejects(open({ method: "POST" }, bytesOf("abcde")), isProblem("body_too_large"));
    assert.deepEqual(link.sent, []);
    assertIdle();
  });

  it("refuses a body whose announced length is over the limit without reading it or asking for it", async () => {
    session = startSession({ bodyLimitBytes: 4 });
    const informed: number[] = [];
    const body = new FedBody();
    const head = {
      method: "POST",
      fields: ["Content-Length", "5", "Expect", "100-continue"],
      onInformational: (status: number) => void informed.push(status),
    };
    await assert.rejects(open(head, body.stream), isProblem("body_too_large"));
    assert.equal(body.pulls, 0);
    assert.deepEqual(informed, []);
    assertIdle();
  });

  it("answers Expect: 100-continue itself, since the upstream cannot", async () => {
    const informed: number[] = [];
    const body = new FedBody((fed) => fed.end());
    const fields = ["Expect", "100-continue"];
    open({ method: "POST", fields, onInformational: (status) => void informed.push(status) }, body.stream)
      .catch(() => {});
    await link.next();
    assert.deepEqual(informed, [100]);
  });

  it("answers overloaded when the bodies of all requests together are over their limit", async () => {
    session = startSession({ collectLimitBytes: 6_000 });
    const text = "x".repeat(4_000);
    const first = new FedBody((fed) => fed.pulls === 1 && fed.push(text));
    open({ id: "1" }, first.stream).catch(() => {});
    await eventually(() => first.pulls === 2);
    await assert.rejects(open({ id: "2" }, new FedBody((fed) => fed.push(text)).stream), isProblem("overloaded"));
    first.end();
    assert.equal((await link.next()).body_b64, base64(text));
    open({ id: "3" }, new FedBody((fed) => fed.pulls === 1 ? fed.push(text) : fed.end()).stream).catch(() => {});
    assert.equal((await link.next()).body_b64, base64(text));
    assert.equal(session.bufferedBytes, 0);
  });

  it("answers overloaded when too many requests are under way", async () => {
    session = startSession({ maxActive: 2 });
    for (const id of ["1", "2"]) open({ id }).catch(() => {});
    await assert.rejects(open({ id: "3" }), isProblem("overloaded"));
  });

  it("rejects a request whose body breaks off, and holds nothing of it", async () => {
    const body = new FedBody();
    const answer = open({ method: "POST" }, body.stream);
    body.push("a");
    body.fail(new Error("cut"));
    await assert.rejects(answer, /cut/);
    assert.deepEqual(link.sent, []);
    assertIdle();
  });

  it("closes behind the last answer when it drains, also where its request was still coming in", async () => {
    const body = new FedBody();
    const answer = open({ method: "POST" }, body.stream);
    const drained = session.drain();
    await assert.rejects(open({ id: "2" }), isProblem("overloaded"));
    assert.equal(link.closedWith?.code, undefined);
    body.push("a");
    body.end();
    await link.next();
    assert.equal(link.closedWith?.code, undefined);
    link.receive({ type: "http_response", request_id: "1", status: 200, headers: {}, body_b64: base64("ok") });
    assert.equal(await bodyText((await answer).body), "ok");
    await eventually(() => link.closedWith !== null);
    link.lose();
    await drained;
    assert.equal(link.closedWith?.code, 1001);
  });

  it("asks an agent that is leaving nothing more, and passes on what it still answers", async () => {
    const answer = started();
    assert.equal(session.isLeaving, false);
    const body = new BodyReader(await answer);
    const coming = new FedBody();
    const late = open({ id: "2", method: "POST" }, coming.stream);
    link.receive({ type: "draining" });
    assert.equal(session.isLeaving, true);
    await assert.rejects(open({ id: "3" }), isProblem("tunnel_offline"));
    coming.push("a");
    coming.end();
    await assert.rejects(late, isProblem("tunnel_offline"));
    assert.deepEqual(link.sent, []);
    chunk("still");
    end();
    assert.deepEqual([await body.next(), await body.next()], ["still", null]);
    assertIdle();
    assert.equal(link.closedWith, null);
  });

  for (const [features, code] of [[["replaced"], 4001], [[], 1001]] as const) {
    it(
      `closes with ${code} and the reason when another session takes the name of an agent with features ${
        JSON.stringify(features)
      }`,
      async () => {
        session = startSession({ features });
        session.replace("Replaced: by force");
        assert.deepEqual(link.closedWith, { code, reason: "Replaced: by force" });
        assert.equal((await session.closed).reason, "Replaced: by force");
      },
    );
  }

  it("closes at once when it drains and nothing runs", async () => {
    const drained = session.drain();
    assert.equal(link.closedWith?.code, 1001);
    link.lose();
    await drained;
    assert.equal(clock.pending, 0);
  });
});

describe("JsonEdgeSession with a slow client", () => {
  const backpressure = { bufferBytes: 1000, totalBytes: 10_000, stallMs: 2_000 };
  let session: JsonEdgeSession;
  beforeEach(() => void (session = startSession({ features: ["http_request_cancel"], backpressure })));

  const begin = async (id: string, signal: AbortSignal = never): Promise<Answer> => {
    const answer = session.open(requestHead({ id }), null, signal);
    await link.next();
    link.receive({ type: "http_response_start", request_id: id, status: 200, headers: {} });
    return await answer;
  };
  const chunk = (id: string, bytes: number) =>
    link.receive({ type: "http_response_chunk", request_id: id, data_b64: base64("x".repeat(bytes)) });
  const end = (id: string) => link.receive({ type: "http_response_end", request_id: id });

  it("pauses the link past its buffer, and gives that one answer up after 2 s without a byte taken", async () => {
    const slow = new BodyReader(await begin("1"));
    const other = new BodyReader(await begin("2"));
    chunk("1", 1000);
    assert.equal(link.paused, true);
    clock.advance(1_999);
    assert.equal(link.paused, true);
    clock.advance(1);
    assert.equal(link.paused, false);
    const canceled = { type: "http_request_cancel", request_id: "1", code: "request_timeout" };
    assert.deepEqual(await link.next(), canceled);
    await assert.rejects(slow.next(), isProblem("request_timeout"));
    chunk("1", 5000);
    assert.equal(link.paused, false);
    chunk("2", 3);
    assert.equal(await other.next(), "xxx");
  });

  it("gives an answer up although the agent has ended it", async () => {
    const slow = new BodyReader(await begin("1"));
    chunk("1", 1000);
    end("1");
    clock.advance(2_000);
    assert.equal(link.paused, false);
    await assert.rejects(slow.next(), isProblem("request_timeout"));
  });

  it("reads the link on at once when the client of an ended answer leaves", async () => {
    const slow = new BodyReader(await begin("1"));
    chunk("1", 1000);
    end("1");
    assert.equal(link.paused, true);
    await slow.cancel();
    assert.equal(link.paused, false);
  });

  it("breaks an ended answer off when the asking side's timeout comes", async () => {
    const gone = new AbortController();
    const slow = new BodyReader(await begin("1", gone.signal));
    chunk("1", 10);
    end("1");
    gone.abort(new ExchangeError("upstream_timeout", "Nothing moved"));
    await assert.rejects(slow.next(), isProblem("upstream_timeout"));
  });

  it("is exempt from the heartbeat while it does not read the link", async () => {
    const busy = new BodyReader(await begin("1"));
    for (let count = 0; count < 30; count++) chunk("1", 500);
    for (let taken = 0; taken < 29; taken++) {
      assert.equal(link.paused, true);
      clock.advance(1_900);
      await busy.next();
    }
    assert.equal(link.paused, false);
    assert.equal(link.aborted, false);
    clock.advance(25_000);
    assert.equal(link.aborted, true);
  });
});

describe("JsonEdgeSession whose link takes nothing", () => {
  const MIB = 1024 * 1024;
  let session: JsonEdgeSession;
  let memory: MemoryAccount;

  /** @param options those of the session; the first frame fills its link */
  const begin = async (options: Partial<JsonEdgeSessionOptions> = {}) => {
    memory = new MemoryAccount(Infinity);
    session = startSession({ features: ["http_request_cancel"], agentBodyLimitBytes: 10 * MIB, memory, ...options });
    link.isWritable = false;
    ask("first");
    await link.next();
  };
  const ask = (id: string, body: Body = null, signal: AbortSignal = never) => {
    const answer = session.open(requestHead({ id, method: body === null ? "GET" : "POST" }), body, signal);
    answer.catch(() => {});
    return answer;
  };
  /** The link takes one frame, and is full again. */
  const takeOne = () => link.handlers.onDrain();
  const sentIds = () => link.sent.map((frame) => frame.request_id);

  it("sends nothing more, and a short request in front of long ones when it takes again", async () => {
    await begin();
    for (let index = 0; index < 3; index++) ask(`long ${index}`, patternBytes(MIB));
    takeOne();
    ask("short");
    assert.deepEqual(sentIds(), ["long 0"]);
    takeOne();
    link.drain();
    assert.deepEqual(sentIds(), ["long 0", "short", "long 1", "long 2"]);
    assert.equal(session.bufferedBytes, 0);
    ask("at once");
    assert.equal(link.sent.length, 5);
  });

  it("counts the bytes that wait, here and against the account of the process, until the link has taken them", async () => {
    await begin();
    ask("a", patternBytes(MIB));
    ask("b", new FedBody((fed) => fed.pulls === 1 ? fed.push(patternBytes(MIB)) : fed.end()).stream);
    await eventually(() => session.pending.size === 3);
    assert.ok(session.bufferedBytes >= 2 * MIB && session.bufferedBytes < 2.2 * MIB, `${session.bufferedBytes}`);
    assert.equal(memory.heldBytes, session.bufferedBytes);
    takeOne();
    assert.ok(session.bufferedBytes < 1.1 * MIB);
    link.drain();
    assert.deepEqual([session.bufferedBytes, memory.heldBytes], [0, 0]);
  });

  it("does not take an agent for dead that is silent and takes a long frame slowly", async () => {
    await begin();
    for (let part = 0; part < 10; part++) {
      clock.advance(20_000);
      if (part % 2 === 0) link.handlers.onProgress?.();
      else link.handlers.onDrain();
    }
    assert.equal(link.aborted, false);
    clock.advance(25_000);
    assert.equal(link.aborted, true);
  });

  it("answers overloaded to bodies past its limit, and takes requests without one", async () => {
    await begin({ collectLimitBytes: MIB });
    ask("a", patternBytes(900_000));
    await assert.rejects(ask("b", patternBytes(900_000)), isProblem("overloaded"));
    const announced = new FedBody();
    const head = requestHead({ id: "c", method: "POST", fields: ["Content-Length", "900000"] });
    await assert.rejects(session.open(head, announced.stream, never), isProblem("overloaded"));
    assert.equal(announced.pulls, 0);
    ask("d");
    link.drain();
    assert.deepEqual(sentIds(), ["d", "a"]);
    assert.equal(session.active, 3);
  });

  it("answers overloaded to bodies that the account of the process has no room for", async () => {
    await begin({ memory: new MemoryAccount(MIB) });
    ask("a", patternBytes(900_000));
    await assert.rejects(ask("b", patternBytes(900_000)), isProblem("overloaded"));
  });

  it("answers overloaded when 4 MiB of heads wait", async () => {
    await begin();
    const fields = ["X-Long", "x".repeat(60_000)];
    let refused = 0;
    for (let index = 0; index < 100; index++) {
      session.open(requestHead({ id: `${index}`, fields }), null, never).catch(() => refused++);
    }
    await eventually(() => refused > 0);
    assert.equal(session.pending.size, 1 + 100 - refused);
    assert.ok(session.bufferedBytes <= 4 * MIB);
    assert.ok(session.bufferedBytes > 4 * MIB - 62_000);
  });

  it("drops a request whose visitor leaves before it was sent, without a word to the agent", async () => {
    await begin();
    const gone = new AbortController();
    const left = ask("left", patternBytes(MIB), gone.signal);
    ask("stays");
    gone.abort(new Error("gone"));
    await assert.rejects(left, /gone/);
    assert.ok(session.bufferedBytes < 2_048);
    link.drain();
    assert.deepEqual(sentIds(), ["stays"]);
  });

  it("rejects what waits when the link is lost, and when the agent leaves, and holds nothing", async () => {
    for (const code of ["agent_lost", "tunnel_offline"] as const) {
      await begin();
      const waiting = [ask("a", patternBytes(MIB)), ask("b")];
      const coming = new FedBody((fed) => fed.pulls === 1 && fed.push("abc"));
      const late = ask("c", coming.stream);
      await eventually(() => coming.pulls === 2);
      if (code === "agent_lost") link.lose();
      else link.receive({ type: "draining" });
      for (const answer of waiting) await assert.rejects(answer, isProblem(code));
      if (code === "tunnel_offline") coming.end();
      await assert.rejects(late, isProblem(code));
      assert.deepEqual([session.bufferedBytes, memory.heldBytes, link.sent.length], [0, 0, 0]);
    }
  });

  it("gives up what holds most when all connections of the process hold too much", async () => {
    const process = new MemoryAccount(2 * MIB);
    await begin({ memory: process });
    ask("small", patternBytes(100_000));
    const large = ask("large", patternBytes(MIB));
    const other = new MemoryAccount(Infinity, process);
    other.add(MIB);
    other.enforceLimit();
    await assert.rejects(large, isProblem("overloaded"));
    link.drain();
    assert.deepEqual(sentIds(), ["small"]);
  });

  it("gives up a body that is being collected, and an answer that waits for its visitor, where they hold most", async () => {
    const process = new MemoryAccount(MIB);
    await begin({ memory: process });
    const coming = new FedBody((fed) => fed.pulls === 1 && fed.push(patternBytes(700_000)));
    const asked = ask("coming", coming.stream);
    await eventually(() => coming.pulls === 2);
    link.receive({ type: "http_response_start", request_id: "first", status: 200, headers: {} });
    const chunk = () =>
      link.receive({ type: "http_response_chunk", request_id: "first", data_b64: base64("x".repeat(200_000)) });
    for (let index = 0; index < 2; index++) chunk();
    await assert.rejects(asked, isProblem("overloaded"));
    assert.ok(session.bufferedBytes < 450_000 && session.bufferedBytes > 400_000);
    for (let index = 0; index < 4; index++) chunk();
    assert.equal(session.bufferedBytes, 0);
    assert.deepEqual(link.sent.map(({ type, code }) => [type, code]), [["http_request_cancel", "overloaded"]]);
  });
});
