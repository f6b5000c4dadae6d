import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorCodeOf, exchangeErrorOf, givenUpBecause, giveUpCodeOf } from "../../../src/session/v2/error_codes.ts";
import { ExchangeError, problemKinds } from "../../../src/http/problems.ts";
import { ErrorCode } from "../../../src/httpstream/wire/mod.ts";
import { UpstreamError } from "../../../src/http/upstream_error.ts";
import { ExchangeAbortedError, InvalidAnswerError } from "../../../src/http1/server/errors.ts";
import { SocketError } from "../../../src/net/mod.ts";
import { ConnectionError, StreamError } from "../../../src/httpstream/mod.ts";

const init = { reason: "x", initiator: "remote" } as const;
const reset = (code: number) => StreamError.reset(code, "remote");
const connectionError = (code: "draining" | "closed" | "link_lost") =>
  new ConnectionError({ code, reason: "why", initiator: "remote" });

describe("the codes of an exchange that failed", () => {
  const meant = [
    ["UPSTREAM_REFUSED", "upstream_refused", 502],
    ["UPSTREAM_NOT_ALLOWED", "upstream_not_allowed", 502],
    ["UPSTREAM_TIMEOUT", "upstream_timeout", 504],
    ["UPSTREAM_INVALID", "upstream_invalid", 502],
    ["UPSTREAM_CLOSED", "upstream_closed", 502],
    ["REFUSED_STREAM", "overloaded", 503],
    ["ENHANCE_YOUR_CALM", "overloaded", 503],
    ["MEMORY_PRESSURE", "overloaded", 503],
    ["INTERNAL_ERROR", "upstream_failed", 502],
    ["PROTOCOL_ERROR", "upstream_failed", 502],
  ] as const;
  for (const [name, code, status] of meant) {
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
    [new UpstreamError("upstream_not_allowed", "x"), "UPSTREAM_NOT_ALLOWED"],
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

  it("exchangeErrorOf shows nothing of the peer's bytes", () => {
    const quoting = new StreamError({ code: "protocol_error", reason: `The value "10.0.0.1"`, initiator: "remote" });
    assert.doesNotMatch(exchangeErrorOf(quoting).reason, /10\.0/);
  });

  const left = new ExchangeAbortedError("client_reset", "x", new SocketError({ ...init, code: "connection_reset" }));
  const given: [what: string, reason: unknown, name: keyof typeof ErrorCode][] = [
    ["a timeout of the edge's", new ExchangeError("upstream_timeout", "x"), "UPSTREAM_TIMEOUT"],
    ["a request that stopped", new ExchangeAbortedError("request_timeout", "x"), "REQUEST_TIMEOUT"],
    [
      "an answer that broke off with a request that stopped",
      new ExchangeAbortedError("answer_failed", "x", new ExchangeAbortedError("request_timeout", "y")),
      "REQUEST_TIMEOUT",
    ],
    [
      "an answer that cannot be sent",
      new ExchangeAbortedError("answer_failed", "x", new InvalidAnswerError("y")),
      "UPSTREAM_INVALID",
    ],
    ["a visitor's reset", left, "CLIENT_GONE"],
    ["a visitor's end", new ExchangeAbortedError("client_closed", "x"), "CLIENT_GONE"],
    ["the server's end", new ExchangeAbortedError("server_closed", "x"), "CLIENT_GONE"],
    ["a mistake", new TypeError("x"), "CLIENT_GONE"],
    ["nothing", undefined, "CLIENT_GONE"],
  ];
  for (const [what, reason, name] of given) {
    it(`giveUpCodeOf makes ${name} of ${what}`, () => assert.equal(giveUpCodeOf(reason), ErrorCode[name]));
  }

  const told: [name: keyof typeof ErrorCode, isAnswered: boolean, code: string, text: RegExp][] = [
    ["CLIENT_GONE", false, "canceled", /^The visitor left$/],
    ["CANCEL", true, "canceled", /^The visitor left$/],
    ["UPSTREAM_TIMEOUT", false, "upstream_timeout", /first-byte timeout.*--first-byte-timeout/],
    ["UPSTREAM_TIMEOUT", true, "upstream_timeout", /idle timeout.*--idle-timeout/],
    ["REQUEST_TIMEOUT", false, "request_timeout", /visitor sent nothing/],
    ["MEMORY_PRESSURE", true, "overloaded", /edge held too many bytes/],
    ["UPSTREAM_INVALID", true, "upstream_invalid", /edge gave the exchange up/],
    ["PROTOCOL_ERROR", false, "upstream_invalid", /edge gave the exchange up/],
    ["INTERNAL_ERROR", false, "upstream_failed", /INTERNAL_ERROR/],
    ["RESUME_EXPIRED", false, "upstream_failed", /RESUME_EXPIRED/],
  ];
  for (const [name, isAnswered, code, text] of told) {
    const when = isAnswered ? "behind the answer's head" : "before the answer";
    it(`givenUpBecause says ${code} of ${name} ${when}`, () => {
      const error = givenUpBecause(reset(ErrorCode[name]), isAnswered);
      assert.equal(error.code, code);
      assert.match(error.reason, text);
    });
  }

  it("givenUpBecause tells the agent's own lack of memory, and a lost connection, from what the edge did", () => {
    const pressed = givenUpBecause(StreamError.reset(ErrorCode.MEMORY_PRESSURE, "library"), true);
    assert.equal(pressed.code, "overloaded");
    assert.match(pressed.reason, /^The agent held too many bytes/);
    const lost = new StreamError({ code: "connection_lost", reason: "The link broke", initiator: "remote" });
    const { code, reason } = givenUpBecause(lost, false);
    assert.deepEqual([code, reason], ["agent_lost", "The connection to the edge was lost: The link broke"]);
    assert.match(givenUpBecause(reset(0x7fff), false).reason, /0x7fff/);
  });
});
