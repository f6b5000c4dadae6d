import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameError, parseAgentFrame, parseEdgeFrame } from "../../../src/session/wsproto/frames.ts";

type Frame = Record<string, unknown>;

/** One valid frame of each type, with every key that must be there. */
const agentFrames: Frame[] = [
  { type: "register", tunnel_id: "shop", agent_token: "secret" },
  { type: "http_response", request_id: "1", status: 200, headers: { A: "b" } },
  { type: "http_response_start", request_id: "1", status: 200, headers: {} },
  { type: "http_response_chunk", request_id: "1", data_b64: "" },
  { type: "http_response_end", request_id: "1" },
  { type: "http_response_abort", request_id: "1" },
  { type: "draining" },
];
const edgeFrames: Frame[] = [
  { type: "registered" },
  { type: "error", message: "no" },
  { type: "http_request", request_id: "1", method: "GET", path: "/", headers: {} },
  { type: "http_request_cancel", request_id: "1" },
];

const sides = [
  { name: "parseAgentFrame", parse: parseAgentFrame, frames: agentFrames },
  { name: "parseEdgeFrame", parse: parseEdgeFrame, frames: edgeFrames },
];

for (const { name, parse, frames } of sides) {
  describe(name, () => {
    for (const frame of frames) {
      it(`reads ${frame.type} when it has the keys that it needs`, () => {
        const parsed = parse(JSON.stringify(frame)) as Frame;
        for (const [key, value] of Object.entries(frame)) assert.deepEqual(parsed[key], value, key);
      });

      for (const key of Object.keys(frame).filter((key) => key !== "type")) {
        it(`names frame and key when ${frame.type} lacks ${key}`, () => {
          const { [key]: _, ...rest } = frame;
          assert.throws(() => parse(JSON.stringify(rest)), (error) => {
            assert.ok(error instanceof FrameError);
            assert.equal(error.code, "bad_frame");
            assert.ok(error.reason.startsWith(`Frame \`${frame.type}\`, key \`${key}\`: `), error.reason);
            return true;
          });
        });
      }
    }

    for (const text of ["", "{", "nonsense", '{"type":"register"', "\u0000"]) {
      it(`throws when the message is ${JSON.stringify(text)}`, () => {
        assert.throws(() => parse(text), { name: "FrameError", reason: "A frame is not JSON" });
      });
    }

    for (const text of ["null", "1", '"register"', "[]", "{}", '{"type":null}', '{"type":["register"]}']) {
      it(`throws when the message is ${text}`, () => {
        assert.throws(() => parse(text), { name: "FrameError", reason: "A frame has no `type`" });
      });
    }

    for (const type of ["shiny_new", "", "__proto__", "toString", "tcp_data"]) {
      it(`gives null when the type is ${JSON.stringify(type)}`, () => {
        assert.equal(parse(JSON.stringify({ type, request_id: 7 })), null);
      });
    }
  });
}

describe("parseAgentFrame", () => {
  const start = { type: "http_response_start", request_id: "1", status: 200, headers: {} };
  const wrong: [string, Frame][] = [
    ["status", { ...start, status: "200" }],
    ["status", { ...start, status: 101 }],
    ["status", { ...start, status: 99 }],
    ["status", { ...start, status: 1000 }],
    ["status", { ...start, status: 200.5 }],
    ["headers", { ...start, headers: ["A: b"] }],
    ["headers", { ...start, headers: null }],
    ["headers", { ...start, headers: { A: 1 } }],
    ["headers", { ...start, headers: { A: ["b"] } }],
    ["request_id", { ...start, request_id: "" }],
    ["request_id", { ...start, request_id: "x".repeat(257) }],
    ["features", { type: "register", tunnel_id: "a", agent_token: "b", features: Array(65).fill("f") }],
    ["agent_token", { type: "register", tunnel_id: "a", agent_token: "x".repeat(4097) }],
    ["tunnel_id", { type: "register", tunnel_id: "x".repeat(257), agent_token: "b" }],
  ];
  for (const [key, frame] of wrong) {
    it(`throws when ${key} is ${JSON.stringify(frame[key])?.slice(0, 20)}`, () => {
      assert.throws(() => parseAgentFrame(JSON.stringify(frame)), (error) => {
        assert.ok(error instanceof FrameError);
        assert.ok(error.reason.startsWith(`Frame \`${frame.type}\`, key \`${key}\`: `), error.reason);
        return true;
      });
    });
  }

  it("keeps a header called __proto__ when one comes", () => {
    const text = '{"type":"http_response_start","request_id":"1","status":200,"headers":{"__proto__":"x"}}';
    const frame = parseAgentFrame(text);
    assert.equal(frame?.type, "http_response_start");
    assert.deepEqual(Object.entries(frame.headers), [["__proto__", "x"]]);
  });

  it("does not know the frames of an edge", () => {
    for (const frame of edgeFrames) assert.equal(parseAgentFrame(JSON.stringify(frame)), null);
  });
});
