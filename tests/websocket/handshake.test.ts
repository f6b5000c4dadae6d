import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RequestHead } from "../../src/http/message.ts";
import { checkUpgrade } from "../../src/websocket/mod.ts";
import type { RefusedUpgrade } from "../../src/websocket/handshake.ts";

const KEY = ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="];
const VERSION = ["Sec-WebSocket-Version", "13"];

function request(fields: string[], head: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    target: "/agent",
    scheme: "http",
    authority: "edge.example",
    fields,
    upgrade: "websocket",
    client: "192.0.2.1",
    id: "1",
    ...head,
  };
}

function offering(...values: string[]): RequestHead {
  return request([...KEY, ...VERSION, ...values.flatMap((value) => ["Sec-WebSocket-Protocol", value])]);
}

describe("checkUpgrade", () => {
  it("checkUpgrade computes the accept value of RFC 6455 §1.3 when the handshake is right", () => {
    assert.deepEqual(checkUpgrade(request([...KEY, ...VERSION], { upgrade: "WebSocket" })), {
      accepted: true,
      fields: ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
      protocol: null,
    });
  });

  it("checkUpgrade chooses the client's first spoken protocol when several are offered", () => {
    const upgrade = checkUpgrade(offering("runnel.v9, b", " a"), { protocols: ["a", "b"] });
    assert.deepEqual(upgrade, {
      accepted: true,
      fields: ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol", "b"],
      protocol: "b",
    });
  });

  it("checkUpgrade accepts without a protocol when none is offered or none is spoken", () => {
    for (const upgrade of [checkUpgrade(offering(), { protocols: ["a"] }), checkUpgrade(offering("a"))]) {
      assert.equal(upgrade.accepted && upgrade.protocol, null);
      assert.equal(upgrade.fields.length, 2);
    }
  });

  it("checkUpgrade accepts when a WebSocket is asked for among others", () => {
    assert.ok(checkUpgrade(request([...KEY, ...VERSION], { upgrade: "foo/2,WebSocket" })).accepted);
  });

  it("checkUpgrade agrees to no extension when the client offers one", () => {
    const upgrade = checkUpgrade(request([...KEY, ...VERSION, "Sec-WebSocket-Extensions", "permessage-deflate"]));
    assert.ok(upgrade.accepted);
    assert.deepEqual(upgrade.fields.slice(0, 1), ["Sec-WebSocket-Accept"]);
    assert.equal(upgrade.fields.length, 2);
  });

  const refusals: [string, RequestHead, 400 | 426, RegExp][] = [
    ["no upgrade is asked for", request([...KEY, ...VERSION], { upgrade: undefined }), 426, /does not ask/],
    ["another upgrade is asked for", request([...KEY, ...VERSION], { upgrade: "tls" }), 426, /does not ask/],
    ["the method is POST", request([...KEY, ...VERSION], { method: "POST" }), 400, /method POST/],
    ["the version is missing", request([...KEY]), 400, /Version stands 0 times/],
    ["the version stands twice", request([...KEY, ...VERSION, ...VERSION]), 400, /Version stands 2 times/],
    ["the version is 8", request([...KEY, "sec-websocket-version", "8"]), 426, /version "8"/],
    ["the key is missing", request([...VERSION]), 400, /Key stands 0 times/],
    ["the key stands twice", request([...KEY, ...KEY, ...VERSION]), 400, /Key stands 2 times/],
    ["the key has 15 bytes", request([...VERSION, "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"]), 400, /16 bytes/],
    ["the key is no base64", request([...VERSION, "Sec-WebSocket-Key", "dGhlIHNhbXBs!SBub25jZQ=="]), 400, /16 bytes/],
    ["no offer is spoken", offering("runnel.v9"), 400, /offers "runnel.v9", supported is "runnel.v2"/],
    ["an offer is no token", offering("a b"), 400, /different tokens/],
    ["an offer stands twice", offering("a, a"), 400, /different tokens/],
  ];
  for (const [name, head, status, reason] of refusals) {
    it(`checkUpgrade refuses with ${status} when ${name}`, () => {
      const upgrade = checkUpgrade(head, { protocols: ["runnel.v2"] }) as RefusedUpgrade;
      assert.equal(upgrade.accepted, false);
      assert.equal(upgrade.status, status);
      assert.match(upgrade.reason, reason);
      assert.deepEqual(upgrade.fields, status === 426 ? VERSION : []);
    });
  }
});
