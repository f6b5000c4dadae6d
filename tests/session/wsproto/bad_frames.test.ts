/** A frame with a value that cannot be taken ends the request that it is about, at both ends, and no other. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Answer, Handler } from "../../../src/http/message.ts";
import { ExchangeError } from "../../../src/http/problems.ts";
import { JsonAgentSession } from "../../../src/session/wsproto/agent_session.ts";
import { JsonEdgeSession } from "../../../src/session/wsproto/edge_session.ts";
import type { FrameError } from "../../../src/session/wsproto/frames.ts";
import { BodyReader, bodyText, never, requestHead } from "../../support/client_requests.ts";
import { FakeClock } from "../../support/clock.ts";
import { FakeJsonLink } from "../../support/json_link.ts";
import { eventually } from "../../support/net.ts";

type Frame = Record<string, unknown>;

const whole: Frame = { type: "http_response", request_id: "1", status: 200, headers: {}, body_b64: "" };
const start: Frame = { type: "http_response_start", request_id: "1", status: 200, headers: {} };
const chunk: Frame = { type: "http_response_chunk", request_id: "1", data_b64: "" };
const without = (frame: Frame, key: string): Frame => {
  const { [key]: _, ...rest } = frame;
  return rest;
};

/** Values that neither frame of a head may have. */
const badHeads: readonly [key: string, value: unknown][] = [
  ["headers", { "A": 1 }],
  ["headers", { "A": ["b"] }],
  ["headers", { "A": null }],
  ["headers", ["b"]],
  ["headers", null],
  ["headers", "A: b"],
  ["status", 101],
  ["status", 99],
  ["status", 1_000],
  ["status", 200.5],
  ["status", "200"],
  ["status", null],
];

describe("JsonEdgeSession with frames that have a bad value", () => {
  let link: FakeJsonLink;
  let clock: FakeClock;
  let session: JsonEdgeSession;
  let told: FrameError[];
  beforeEach(() => begin(["http_request_cancel"]));

  const begin = (features: string[]) => {
    link = new FakeJsonLink("edge");
    clock = new FakeClock();
    told = [];
    session = new JsonEdgeSession(link, { id: "s1", features, clock, onBadFrame: (error) => void told.push(error) });
  };
  const open = async (id = "1"): Promise<{ answer: Promise<Answer> }> => {
    const answer = session.open(requestHead({ id }), null, never);
    answer.catch(() => {});
    await link.next();
    return { answer };
  };
  const isInvalid = (key: string) => (error: unknown) => {
    assert.ok(error instanceof ExchangeError, String(error));
    assert.equal(error.code, "upstream_invalid");
    assert.ok(error.reason.includes(`key \`${key}\``), error.reason);
    return true;
  };
  /** Nothing is left of request 1, and another one is served on the same link. */
  const assertGoesOn = async () => {
    assert.equal(link.closedWith, null);
    assert.equal(session.active, 0);
    const { answer } = await open("2");
    link.receive({ ...whole, request_id: "2", body_b64: btoa("fine") });
    assert.equal(await bodyText((await answer).body), "fine");
  };

  for (const frame of [whole, start]) {
    for (const [key, value] of [...badHeads, ["headers", undefined], ["status", undefined]] as typeof badHeads) {
      it(`fails the request alone when ${frame.type} has ${key} ${JSON.stringify(value)}`, async () => {
        const { answer } = await open();
        link.receive({ ...without(frame, key), ...(value === undefined ? {} : { [key]: value }) });
        await assert.rejects(answer, isInvalid(key));
        assert.deepEqual(told.map(({ type, key }) => [type, key]), [[frame.type, key]]);
        if (frame === start) {
          const { type, request_id } = await link.next();
          assert.deepEqual([type, request_id], ["http_request_cancel", "1"]);
        }
        await assertGoesOn();
      });
    }
  }

  for (const value of ["!", "A", "AA=A", 7, null]) {
    it(`fails the request alone when the body of a whole answer is ${JSON.stringify(value)}`, async () => {
      const { answer } = await open();
      link.receive({ ...whole, body_b64: value });
      await assert.rejects(answer, isInvalid("body_b64"));
      await assertGoesOn();
    });

    it(`breaks the answer off, and no other, when a chunk is ${JSON.stringify(value)}`, async () => {
      const { answer } = await open();
      link.receive(start);
      const reader = new BodyReader(await answer);
      link.receive({ ...chunk, data_b64: value });
      await assert.rejects(reader.next(), isInvalid("data_b64"));
      assert.deepEqual(await link.next(), { type: "http_request_cancel", request_id: "1", code: "upstream_invalid" });
      // What the agent had sent before it heard of it.
      link.receive({ ...chunk, data_b64: btoa("late") });
      link.receive({ type: "http_response_end", request_id: "1" });
      await assertGoesOn();
    });
  }

  it("names the field of the head whose value is no string, escaped", async () => {
    const { answer } = await open();
    link.receive({ ...whole, headers: { "X-Fine": "1", "X-\u202eBad\n": 1 } });
    await assert.rejects(answer, /X-\\u202eBad\\n/);
    assert.match(told[0]!.reason, /^Frame `http_response`, key `headers`: .*"X-\\u202eBad\\n"/);
  });

  it("tells of each kind of bad value once a session, so that a log is not flooded", async () => {
    for (let round = 0; round < 3; round++) {
      for (const headers of [{ ["A" + round]: 1 }, null]) {
        const { answer } = await open();
        link.receive({ ...whole, headers });
        await assert.rejects(answer, isInvalid("headers"));
      }
      const { answer } = await open();
      link.receive({ ...whole, status: round });
      await assert.rejects(answer, isInvalid("status"));
    }
    assert.deepEqual(told.map(({ key }) => key), ["headers", "status"]);
  });

  it("takes an http_response_abort whose message and code are of another type", async () => {
    const { answer } = await open();
    link.receive({ type: "http_response_abort", request_id: "1", message: 7, code: null });
    await assert.rejects(answer, { code: "upstream_failed" });
    await assertGoesOn();
  });

  it("drops bad frames of requests that it does not know, and those behind the end", async () => {
    link.receive({ ...whole, request_id: "unknown", status: 1 });
    link.receive({ ...chunk, request_id: "unknown", data_b64: "!" });
    const { answer } = await open();
    link.receive(start);
    link.receive({ ...chunk, data_b64: btoa("all") });
    link.receive({ type: "http_response_end", request_id: "1" });
    link.receive({ ...chunk, data_b64: "!" });
    assert.equal(await bodyText((await answer).body), "all");
    await assertGoesOn();
  });

  it("counts the answers of an agent without features that may be silent while it is busy", async () => {
    begin([]);
    const { answer } = await open();
    link.receive({ ...whole, status: 1 });
    await assert.rejects(answer, isInvalid("status"));
    // It is not busy any more: silent for 25 s, it is dead.
    clock.advance(25_000);
    assert.equal(link.aborted, true);
  });

  it("closes behind a bad answer when it drains", async () => {
    const { answer } = await open();
    const drained = session.drain();
    link.receive({ ...whole, status: 1 });
    await assert.rejects(answer, isInvalid("status"));
    assert.equal(link.closedWith?.code, 1001);
    link.lose();
    await drained;
  });

  const ending: readonly [what: string, text: string][] = [
    ["no JSON", "{"],
    ["without a type", JSON.stringify(without(whole, "type"))],
    ["without a request_id", JSON.stringify(without(whole, "request_id"))],
    ["with a request_id that is a number", JSON.stringify({ ...whole, request_id: 1 })],
    ["with an empty request_id", JSON.stringify({ ...whole, request_id: "" })],
    ["a bad registration", JSON.stringify({ type: "register", request_id: "1" })],
  ];
  for (const [what, text] of ending) {
    it(`ends the session when a frame is ${what}`, async () => {
      const { answer } = await open();
      link.receiveText(text);
      await assert.rejects(answer, { code: "agent_lost" });
      assert.equal(link.closedWith?.code, 1002);
      assert.equal((await session.closed).code, "bad_frame");
    });
  }
});

describe("JsonAgentSession with frames that have a bad value", () => {
  const request: Frame = { type: "http_request", request_id: "1", method: "GET", path: "/", headers: {}, body_b64: "" };
  const begin = (upstream: Handler, features = ["http_response_abort"]) => {
    const link = new FakeJsonLink("agent");
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const session = new JsonAgentSession(link, { upstream, features, clock: new FakeClock(), onError });
    return { link, session, errors };
  };
  const fine: Handler = () => Promise.resolve({ status: 204, fields: [], body: null });
  const hangs: Handler = () => new Promise(() => {});

  const bad: readonly [key: string, value: unknown][] = [
    ["method", ""],
    ["method", 7],
    ["path", ""],
    ["path", undefined],
    ["query", 7],
    ["headers", { A: 1 }],
    ["headers", ["b"]],
    ["headers", null],
    ["body_b64", "!"],
    ["body_b64", 7],
  ];
  for (const [key, value] of bad) {
    it(`answers that request, and serves others, when ${key} is ${JSON.stringify(value)}`, async () => {
      const { link, session, errors } = begin(fine);
      link.receive({ ...request, [key]: value });
      const { message, ...frame } = await link.next();
      assert.deepEqual(frame, { type: "http_response_abort", request_id: "1", code: "upstream_failed" });
      assert.ok(String(message).includes(`\`http_request\`, key \`${key}\``), String(message));
      assert.ok(String(errors[0]).includes(`key \`${key}\``), String(errors[0]));
      assert.equal(session.active, 0);
      assert.equal(link.closedWith, null);
      link.receive({ ...request, request_id: "2" });
      assert.deepEqual((await link.next()).status, 204);
    });
  }

  it("answers with 502 itself when the edge does not know http_response_abort", async () => {
    const { link } = begin(fine, []);
    link.receive({ ...request, headers: null });
    const { type, request_id, status } = await link.next();
    assert.deepEqual([type, request_id, status], ["http_response", "1", 502]);
    assert.equal(link.closedWith, null);
  });

  it("cancels a request although the code of its cancellation is no text", async () => {
    const { link, session } = begin((_head, _body, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
    );
    link.receive(request);
    link.receive({ type: "http_request_cancel", request_id: "1", code: 7 });
    await eventually(() => session.active === 0);
    assert.equal(link.closedWith, null);
  });

  const ending: readonly [what: string, frame: Frame][] = [
    ["has no request_id", without(request, "request_id")],
    ["has a request_id that is a number", { ...request, request_id: 1 }],
    // An answer to it would be taken for the other's.
    ["is bad, and its request_id is in use", { ...request, headers: null }],
  ];
  for (const [what, frame] of ending) {
    it(`ends the session when a request ${what}`, async () => {
      const { link, session } = begin(hangs);
      link.receive(request);
      link.receive(frame);
      assert.equal(link.closedWith?.code, 1002);
      assert.equal((await session.closed).code, "bad_frame");
    });
  }
});
