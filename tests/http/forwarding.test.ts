import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { forwardedFields, publicAnswer } from "../../src/http/forwarding.ts";
import { fieldValue, fieldValues } from "../../src/http/fields.ts";
import type { Fields, RequestHead } from "../../src/http/message.ts";
import { requestHead } from "../support/client_requests.ts";

const ours = [
  ...["X-Forwarded-For", "127.0.0.1", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "a.test"],
  ...["Forwarded", "for=127.0.0.1;host=a.test;proto=http"],
];

describe("forwardedFields", () => {
  it("adds what the upstream should know of the client behind the client's own fields", () => {
    const fields = ["X-A", "1", "Cookie", "b", "x-a", "2"];
    assert.deepEqual(forwardedFields(requestHead({ fields })), [...fields, ...ours]);
  });

  const spoofed: Fields[] = [
    ["X-Forwarded-For", "6.6.6.6"],
    ["x-forwarded-proto", "https"],
    ["X-FORWARDED-HOST", "evil"],
    ["X-Forwarded-Prefix", "/evil", "X-Forwarded-Port", "1", "X-Forwarded-Server", "evil"],
    ["forwarded", "for=6.6.6.6"],
    ["X-Real-IP", "6.6.6.6"],
  ];
  for (const fields of spoofed) {
    it(`drops ${fields[0]} when it comes from a client`, () => {
      assert.deepEqual(forwardedFields(requestHead({ fields })), ours);
    });
  }

  it("keeps names that only look alike", () => {
    const fields = ["X-Forwarded", "1", "Forwarded-For", "2", "X-Real-IPs", "3"];
    assert.deepEqual(forwardedFields(requestHead({ fields })), [...fields, ...ours]);
  });

  const elements: [string, Partial<RequestHead>, string][] = [
    ["IPv6", { client: "::1" }, 'for="[::1]";host=a.test;proto=http'],
    ["a port in the host", { authority: "a.test:81" }, 'for=127.0.0.1;host="a.test:81";proto=http'],
    ["no host", { authority: "" }, "for=127.0.0.1;proto=http"],
    ["no address", { client: "" }, "for=unknown;host=a.test;proto=http"],
    ["https", { scheme: "https" }, "for=127.0.0.1;host=a.test;proto=https"],
  ];
  for (const [what, head, element] of elements) {
    it(`writes Forwarded as RFC 7239 says for ${what}`, () => {
      assert.equal(fieldValue(forwardedFields(requestHead(head)), "forwarded"), element);
    });
  }

  it("writes Forwarded for each client when several use one host", () => {
    for (const [client, scheme] of [["10.0.0.1", "http"], ["10.0.0.2", "http"], ["10.0.0.2", "https"]] as const) {
      for (let again = 0; again < 2; again++) {
        const fields = forwardedFields(requestHead({ client, scheme, authority: "several.test" }));
        assert.equal(fieldValue(fields, "forwarded"), `for=${client};host=several.test;proto=${scheme}`);
      }
    }
  });
});

describe("publicAnswer", () => {
  const of = (...fields: string[]) => publicAnswer({ status: 200, fields, body: null }).fields;

  it("gives an ordinary answer as it is", () => {
    const answer = { status: 200, fields: ["Content-Type", "text/html"], body: null };
    assert.equal(publicAnswer(answer), answer);
  });

  it("strips an upstream's X-Runnel-Error in any case", () => {
    assert.deepEqual(of("A", "1", "x-runnel-ERROR", "fake", "X-Runnel-Error", "fake", "B", "2"), ["A", "1", "B", "2"]);
  });

  it("asks proxies not to hold or change events, once", () => {
    const type = ["Content-Type", "Text/Event-Stream;charset=utf-8"];
    assert.deepEqual(of(...type), [...type, "X-Accel-Buffering", "no", "Cache-Control", "no-transform"]);
    const complete = [...type, "x-accel-buffering", "yes", "cache-control", "no-cache, No-Transform"];
    assert.deepEqual(of(...complete), complete);
    assert.deepEqual(fieldValues(of(...type, "Cache-Control", "no-cache"), "cache-control"), [
      "no-cache",
      "no-transform",
    ]);
  });
});
