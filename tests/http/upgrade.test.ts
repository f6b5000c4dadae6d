import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  askedProtocols,
  contentOf,
  isAsked,
  isPlainUpgrade,
  upgradeContentLength,
  upgradeParts,
} from "../../src/http/upgrade.ts";
import { bodyText, FedBody, requestHead } from "../support/client_requests.ts";
import { bytesOf } from "../support/net.ts";

const withLength = (length: string) => requestHead({ upgrade: "tcp", fields: ["content-length", length] });

describe("askedProtocols", () => {
  const rows: [value: string, asked: string | undefined][] = [
    ["websocket", "websocket"],
    ["TLS/1.2, HTTP/1.1", "TLS/1.2,HTTP/1.1"],
    [" ,a\t,, b,", "a,b"],
    ["h2c", undefined],
    ["H2C, websocket", "websocket"],
    ["h2c,h2C", undefined],
    ["h2", "h2"],
    ["", undefined],
    [",", undefined],
    ["a b", undefined],
    ["a, b/", undefined],
    ["a, b/1/2", undefined],
    ["a, @", undefined],
  ];
  for (const [value, asked] of rows) {
    it(`askedProtocols is ${asked} when Upgrade is ${JSON.stringify(value)}`, () => {
      assert.equal(askedProtocols(value), asked);
    });
  }
});

describe("isAsked", () => {
  const rows: [asked: string, agreed: string, expected: boolean][] = [
    ["tcp", "tcp", true],
    ["tcp", "TCP", true],
    ["a,b/2", "b/2", true],
    ["a,b/2", "B", true],
    ["a,b", "b/7", true],
    ["a,b/2", "b/3", false],
    ["b/2,b/3", "b/3", true],
    ["ab", "a", false],
    ["a", "ab", false],
    ["a,b", "a,b", false],
  ];
  for (const [asked, agreed, expected] of rows) {
    it(`isAsked is ${expected} when ${agreed} is agreed and ${asked} was asked`, () => {
      assert.equal(isAsked(asked, agreed), expected);
    });
  }
});

describe("the body of an upgrade", () => {
  it("has the length of its content in Content-Length", () => {
    assert.equal(upgradeContentLength(requestHead({ upgrade: "tcp" })), 0);
    assert.equal(upgradeContentLength(withLength("29")), 29);
    assert.throws(() => upgradeContentLength(withLength("x")), { name: "ExchangeError", code: "bad_request" });
  });

  it("is plain when there is one protocol and no content", () => {
    assert.ok(isPlainUpgrade(requestHead({ upgrade: "tcp" })) && isPlainUpgrade(withLength("0")));
    assert.ok(!isPlainUpgrade(withLength("1")));
    assert.ok(!isPlainUpgrade(requestHead({ upgrade: "a,b" })));
    assert.ok(!isPlainUpgrade(requestHead()));
  });

  it("is raw alone when there is no content", () => {
    const { stream } = new FedBody();
    assert.deepEqual(upgradeParts(requestHead({ upgrade: "tcp" }), stream), { content: null, raw: stream });
    assert.deepEqual(upgradeParts(withLength("3"), null), { content: null, raw: null });
  });

  it("is content and raw when there is content", async () => {
    for (const body of [bytesOf("abcde"), new FedBody((fed) => fed.push("abcde")).stream]) {
      const { content, raw } = upgradeParts(withLength("3"), body);
      assert.equal(await bodyText(content), "abc");
      assert.equal(new TextDecoder().decode((await (raw as ReadableStream).getReader().read()).value), "de");
    }
  });

  it("is its content for a handler that upgrades nothing", async () => {
    const fed = new FedBody((fed) => fed.push("abcde"));
    assert.equal(await bodyText(contentOf(withLength("3"), fed.stream)), "abc");
    assert.notEqual(fed.canceled, undefined);
    const raw = new FedBody();
    assert.equal(contentOf(requestHead({ upgrade: "tcp" }), raw.stream), null);
    assert.notEqual(raw.canceled, undefined);
    const plain = new FedBody().stream;
    assert.equal(contentOf(requestHead({ fields: ["content-length", "3"] }), plain), plain);
  });
});
