import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentPeerOf } from "../../src/edge/agent_identity.ts";

const peerOf = (...fields: string[]) => {
  return agentPeerOf({ client: "192.0.2.1", fields, isProxied: false, scheme: "http", authority: "edge" });
};

describe("agentPeerOf", () => {
  it("reads an instance of 1 to 64 characters, and takes no other text for one", () => {
    for (const text of ["a", "3f9a0c1b2d4e", "host.example_1-A", "x".repeat(64)]) {
      assert.equal(peerOf("runnel-instance", text).instance, text);
    }
    for (const text of ["", "x".repeat(65), "a b", "a\u001b[1m", "é", "a/b"]) {
      assert.equal(peerOf("Runnel-Instance", text).instance, null, text);
    }
    assert.equal(peerOf().instance, null);
  });
});
