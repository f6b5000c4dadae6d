import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorCodeOf, exchangeErrorOf } from "../../../src/session/v2/error_codes.ts";
import { ExchangeError, problemKinds } from "../../../src/http/problems.ts";
import { ErrorCode } from "../../../src/httpstream/wire/mod.ts";
import { UpstreamError } from "../../../src/http/upstream_error.ts";
import { ConnectionError, StreamError } from "../../../src/httpstream/mod.ts";

const reset = (code: number) => StreamError.reset(code, "remote");
const connectionError = (code: "draining" | "closed" | "link_lost") =>
  new ConnectionError({ code, reason: "why", initiator: "remote" });

describe("the codes of an exchange that failed", () => {
  const told = [
    ["UPSTREAM_REFUSED", "upstream_refused", 502],
    ["UPSTREAM_TIMEOUT", "upstream_timeout", 504],
    ["UPSTREAM_INVALID", "upstream_invalid", 502],
    ["UPSTREAM_CLOSED", "upstream_closed", 502],
    ["REFUSED_STREAM", "overloaded", 503],
    ["ENHANCE_YOUR_CALM", "overloaded", 503],
    ["MEMORY_PRESSURE", "overloaded", 503],
    ["INTERNAL_ERROR", "upstream_failed", 502],
    ["PROTOCOL_ERROR", "upstream_failed", 502],
  ] as const;
  for (const [name, code, status] of told) {
    it(`exchangeErrorOf makes ${code}, ${status}, of a reset with ${name}`, () => {
      assert.equal(exchangeErrorOf(reset(ErrorCode[name])).code, code);
      assert.equal(problemKinds[code].status, status);
    });
  }

  it("exchangeErrorOf makes upstream_failed of a number that it does not know", () => {
    assert.equal(exchangeErrorOf(reset(0x7fff)).code, "upstream_failed");
  });

  it("exchangeErrorOf tells a connection that is leaving from one that was lost", () => {
    assert.equal(exchangeErrorOf(connectionError("draining")).code, "tunnel_offline");
    assert.equal(exchangeErrorOf(connectionError("link_lost")).code, "agent_lost");
    assert.equal(exchangeErrorOf(connectionError("closed")).code, "agent_lost");
    const lost = new StreamError({ code: "connection_lost", reason: "gone", initiator: "remote" });
    assert.equal(exchangeErrorOf(lost).code, "agent_lost");
  });

  it("exchangeErrorOf makes bad_request of fields that the wire cannot carry", () => {
    const error = new StreamError({ code: "invalid_headers", reason: "too long", initiator: "user" });
    assert.equal(exchangeErrorOf(error).code, "bad_request");
  });

  it("exchangeErrorOf makes head_too_large, 431, of fields that the peer does not take", () => {
    const error = new StreamError({ code: "headers_too_large", reason: "too many", initiator: "user" });
    assert.equal(exchangeErrorOf(error).code, "head_too_large");
    assert.equal(problemKinds.head_too_large.status, 431);
  });

  it("exchangeErrorOf keeps an ExchangeError, and the cause of any other", () => {
    const own = new ExchangeError("upstream_timeout", "late");
    assert.equal(exchangeErrorOf(own), own);
    const cause = new TypeError("secret");
    const made = exchangeErrorOf(cause);
    assert.equal(made.code, "upstream_failed");
    assert.equal(made.cause, cause);
    assert.doesNotMatch(made.reason, /secret/);
  });

  const sent = [
    [new UpstreamError("upstream_refused", "x"), "UPSTREAM_REFUSED"],
    [new UpstreamError("upstream_timeout", "x"), "UPSTREAM_TIMEOUT"],
    [new UpstreamError("upstream_invalid", "x"), "UPSTREAM_INVALID"],
    [new UpstreamError("upstream_closed", "x"), "UPSTREAM_CLOSED"],
    [new UpstreamError("upstream_reset", "x"), "UPSTREAM_CLOSED"],
    [new UpstreamError("upstream_failed", "x"), "UPSTREAM_CLOSED"],
    [new UpstreamError("overloaded", "x"), "REFUSED_STREAM"],
    [new UpstreamError("bad_request", "x"), "INTERNAL_ERROR"],
    [new TypeError("x"), "INTERNAL_ERROR"],
  ] as const;
  for (const [error, name] of sent) {
    it(`errorCodeOf makes ${name} of ${error instanceof UpstreamError ? error.code : error.name}`, () => {
      assert.equal(errorCodeOf(error), ErrorCode[name]);
    });
  }
});
