import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Forwarding, publicAnswer, withoutForwarding } from "../../src/http/forwarding.ts";
import { fieldValue, fieldValues } from "../../src/http/fields.ts";
import type { Fields, RequestHead } from "../../src/http/message.ts";
import { never, requestHead } from "../support/client_requests.ts";

const forwarding = new Forwarding();
const forwardedFields = (head: RequestHead) => forwarding.fieldsFor(head);

const ours = [
  ...["X-Forwarded-For", "127.0.0.1", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "a.test"],
  ...["Forwarded", "for=127.0.0.1;host=a.test;proto=http", "X-Request-ID", "test"],
];

describe("Forwarding.fieldsFor", () => {
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
    ["X-Real-IP", "6.6.6.6", "True-Client-IP", "6.6.6.6", "CF-Connecting-IP", "6.6.6.6", "Fly-Client-IP", "6.6.6.6"],
    ["X_Forwarded_For", "6.6.6.6", "X-Forwarded_For", "6.6.6.6", "x_real_ip", "6.6.6.6", "X_Request_ID", "mine"],
    ["X-Request-ID", "mine"],
  ];
  for (const fields of spoofed) {
    it(`drops ${fields[0]} when it comes from a client`, () => {
      assert.deepEqual(forwardedFields(requestHead({ fields })), ours);
    });
  }

  it("keeps names that only look alike", () => {
    const fields = ["X-Forwardedly", "1", "Forwarded-To", "2", "X-Real-IPs", "3", "Client", "4"];
    assert.deepEqual(forwardedFields(requestHead({ fields })), [...fields, ...ours]);
  });

  it("passes fields of an address when a trusted proxy sent them, but none that are only read so", () => {
    const fields = ["X-Real-IP", "203.0.113.9", "cf-connecting-ip", "203.0.113.9"];
    const more = ["X_Real_IP", "6.6.6.6", "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6"];
    const head = requestHead({ fields: [...fields, ...more], isProxied: true });
    assert.deepEqual(forwardedFields(head), [...fields, ...ours]);
  });

  it("counts further names as those of an address, as servers read them", () => {
    const own = new Forwarding(["X-Visitor_Address", "True-Client-IP"]);
    const fields = ["x-visitor-address", "203.0.113.9"];
    const folded = ["X_VISITOR_ADDRESS", "6.6.6.6"];
    assert.deepEqual(own.fieldsFor(requestHead({ fields: [...fields, ...folded] })), ours);
    assert.deepEqual(own.fieldsFor(requestHead({ fields: [...fields, ...folded], isProxied: true })), [
      ...fields,
      ...ours,
    ]);
    assert.equal(own.isForwarded(fields), true);
    assert.equal(forwarding.isForwarded(fields), false);
  });

  it("gives the id by which a trusted proxy calls the request", () => {
    const head = requestHead({ id: "own-1", requestId: "proxys-1", isProxied: true });
    assert.equal(fieldValue(forwardedFields(head), "x-request-id"), "proxys-1");
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

describe("Forwarding.isForwarded", () => {
  for (const name of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X_Forwarded_For"]) {
    it(`is true when there is ${name}`, () => assert.equal(forwarding.isForwarded(["Accept", "*", name, "1"]), true));
  }

  it("is false when a visitor names the request, or there is nothing of a proxy", () => {
    assert.equal(forwarding.isForwarded(["X-Request-ID", "1", "Cookie", "x-forwarded-for"]), false);
  });
});

describe("withoutForwarding", () => {
  it("asks the upstream without what tells of visitors, but with all else of the head", async () => {
    const fields = ["Accept", "*", ...ours, "X-Real-IP", "203.0.113.9"];
    let asked: RequestHead | undefined;
    const upstream = withoutForwarding((head) => {
      asked = head;
      return Promise.resolve({ status: 204, fields: [], body: null });
    });
    const head = requestHead({ fields, tunnel: "shop" });
    await upstream(head, null, never);
    assert.deepEqual(asked?.fields, ["Accept", "*", "X-Request-ID", "test"]);
    assert.deepEqual([asked?.client, asked?.authority, asked?.tunnel], [head.client, head.authority, "shop"]);
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

  it("asks nginx not to hold other live formats", () => {
    const type = ["Content-Type", "application/x-ndjson"];
    assert.deepEqual(of(...type), [...type, "X-Accel-Buffering", "no"]);
    assert.deepEqual(of(...type, "X-Accel-Buffering", "yes"), [...type, "X-Accel-Buffering", "yes"]);
    assert.deepEqual(of("Content-Type", "application/json"), ["Content-Type", "application/json"]);
  });
});
