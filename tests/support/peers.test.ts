import assert from "node:assert/strict";
import process from "node:process";
import { afterEach, describe, it } from "node:test";
import { missingPeer, missingPythonPeer } from "./peers.ts";

describe("missingPeer", () => {
  const required = process.env.RUNNEL_REQUIRE_PEERS;
  afterEach(() => {
    if (required === undefined) delete process.env.RUNNEL_REQUIRE_PEERS;
    else process.env.RUNNEL_REQUIRE_PEERS = required;
  });

  it("gives the reason to skip when the program is missing, unless peers are required", () => {
    delete process.env.RUNNEL_REQUIRE_PEERS;
    assert.equal(missingPeer("no-such-program"), "no-such-program is not installed");
    assert.match(String(missingPythonPeer("no-such-program")), /^no-such-program is not installed: .*--install-peers/);
    process.env.RUNNEL_REQUIRE_PEERS = "1";
    assert.equal(missingPeer("no-such-program"), false);
    assert.equal(missingPythonPeer("no-such-program"), false);
  });

  it("gives no reason when the program is there", () => {
    delete process.env.RUNNEL_REQUIRE_PEERS;
    assert.equal(missingPeer("node"), false);
  });
});
