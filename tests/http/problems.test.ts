import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ExchangeError,
  isProblemCode,
  type ProblemCode,
  problemCodes,
  type ProblemKind,
  problemKinds,
} from "../../src/http/problems.ts";
import { errorAnswer, problemAnswer, problemCodeOf } from "../../src/http/problem_answer.ts";
import { UpstreamError, type UpstreamErrorCode } from "../../src/http/upstream_error.ts";
import { HttpParseError, HttpWriteError } from "../../src/http1/codec/errors.ts";
import { fieldValue } from "../../src/http/fields.ts";
import { ExchangeAbortedError, InvalidAnswerError } from "../../src/http1/server/errors.ts";
import { latin1 } from "../support/net.ts";

describe("problemAnswer", () => {
  for (const code of Object.keys(problemKinds) as ProblemCode[]) {
    it(`is RFC 9457 problem details when the code is ${code}`, () => {
      const { status, fields, body } = problemAnswer(code, "What happened");
      const text = latin1(body as Uint8Array);
      assert.equal(status, problemKinds[code].status);
      assert.equal(fieldValue(fields, "content-type"), "application/problem+json");
      assert.equal(fieldValue(fields, "content-length"), String(text.length));
      assert.equal(fieldValue(fields, "x-runnel-error"), code);
      assert.equal(fieldValue(fields, "cache-control"), "no-store");
      assert.deepEqual(JSON.parse(text), {
        type: `urn:runnel:problem:${code}`,
        title: problemKinds[code].title,
        status,
        detail: "What happened",
        code,
      });
    });
  }

  it("says when to come back where waiting may help, and adds what it is given", () => {
    const retryAfter = (code: ProblemCode) => fieldValue(problemAnswer(code, "").fields, "retry-after");
    assert.equal(retryAfter("tunnel_offline"), "5");
    assert.equal(retryAfter("overloaded"), "1");
    assert.equal(retryAfter("bad_request"), undefined);
    assert.equal(fieldValue(problemAnswer("method_not_allowed", "", ["Allow", "GET"]).fields, "allow"), "GET");
  });
});

describe("problemCodeOf", () => {
  const table: [unknown, ProblemCode][] = [
    [new ExchangeError("tunnel_offline", "x"), "tunnel_offline"],
    [new UpstreamError("upstream_refused", "x"), "upstream_refused"],
    [new UpstreamError("upstream_reset", "x"), "upstream_failed"],
    [new UpstreamError("canceled", "x"), "upstream_failed"],
    [new HttpParseError(431, "x"), "head_too_large"],
    [new HttpParseError(502, "x"), "upstream_invalid"],
    [new ExchangeAbortedError("request_timeout", "x"), "request_timeout"],
    [new InvalidAnswerError("x"), "upstream_invalid"],
    [new HttpWriteError("x"), "upstream_invalid"],
    [new Error("x"), "internal"],
    ["x", "internal"],
    [undefined, "internal"],
  ];
  for (const [error, code] of table) {
    it(`is ${code} for ${error instanceof Error ? `${error.name} ${(error as { code?: string }).code}` : error}`, () => {
      assert.equal(problemCodeOf(error), code);
    });
  }

  it("knows no code that an object has by birth", () => {
    assert.equal(isProblemCode("toString"), false);
    assert.equal(isProblemCode("__proto__"), false);
    assert.equal(isProblemCode(7), false);
  });
});

describe("problemKinds", () => {
  it("has one general problem at most when several have the same status", () => {
    const general = problemCodes.map((code): ProblemKind => problemKinds[code]).filter(({ isGeneral }) => isGeneral);
    assert.deepEqual(general.map(({ status }) => status), [400, 502, 504]);
  });
});

describe("UpstreamError", () => {
  const statuses: [UpstreamErrorCode, number][] = [
    ["upstream_refused", 502],
    ["upstream_timeout", 504],
    ["upstream_closed", 502],
    ["upstream_reset", 502],
    ["upstream_invalid", 502],
    ["upstream_failed", 502],
    ["overloaded", 503],
    ["bad_request", 400],
    ["canceled", 502],
  ];
  for (const [code, status] of statuses) {
    it(`has the status ${status} when its code is ${code}`, () => {
      assert.equal(new UpstreamError(code, "x").status, status);
    });
  }
});

describe("errorAnswer", () => {
  it("shows nothing of an upstream's error but its code", () => {
    const { status, body } = errorAnswer(new UpstreamError("upstream_refused", "Cannot connect to 10.0.0.7:80"));
    assert.equal(status, 502);
    const { code, title, detail } = JSON.parse(new TextDecoder().decode(body as Uint8Array));
    assert.deepEqual([code, detail], ["upstream_refused", title]);
  });

  it("shows a known error's reason", () => {
    const { status, body } = errorAnswer(new ExchangeError("tunnel_offline", "The agent is away"));
    assert.equal(status, 503);
    assert.equal(JSON.parse(latin1(body as Uint8Array)).detail, "The agent is away");
  });

  it("keeps the text of an unknown error inside", () => {
    const { status, body } = errorAnswer(new Error("password is hunter2"));
    assert.equal(status, 500);
    assert.doesNotMatch(latin1(body as Uint8Array), /hunter2/);
  });
});
