import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_TUNNELS, readEdgeConfig } from "../../../src/agent/managed/tunnel_config.ts";

const tunnel = (name: string, more: object = {}) => ({ id: `t-${name}`, name, upstream: "3000", ...more });
const config = (tunnels: unknown, more: object = {}) =>
  readEdgeConfig({ nodeId: "n", version: 3, checksum: "c", pushUrl: "/p", pollIntervalMs: 1_000, tunnels, ...more });

describe("readEdgeConfig", () => {
  it("gives tunnels without their ids, and with what an edge may leave out", () => {
    const read = config([tunnel("a", { hostnames: ["a.test"], compress: true })], { later: 1 })!;
    assert.equal(read.fault, null);
    assert.deepEqual(read.tunnels, [
      { name: "a", kind: "http", upstream: "3000", hostnames: ["a.test"], compress: true },
    ]);
  });

  it("is null for what is no config", () => {
    for (const json of [undefined, null, 3, "x", {}, { version: 1 }]) assert.equal(readEdgeConfig(json), null);
    assert.equal(config([], { version: -1 }), null);
    assert.equal(config({}), null);
  });

  for (
    const [what, items, fault] of [
      ["a key that is not known", [tunnel("a", { secret: 1 })], /The tunnel a has the key secret, which .* older/],
      ["no upstream", [{ id: "1", name: "a" }], /The tunnel a cannot be read: upstream: /],
      ["no name", [tunnel("ok"), 7], /The tunnel number 2 cannot be read/],
      ["a wrong hostHeader", [tunnel("a", { hostHeader: "a b" })], /hostHeader: /],
      ["an upstream that is too long", [tunnel("a", { upstream: "x".repeat(1_025) })], /upstream: /],
    ] as const
  ) {
    it(`gives the version with a fault, and no tunnel, when one has ${what}`, () => {
      const read = config(items)!;
      assert.deepEqual([read.version, read.tunnels], [3, []]);
      assert.match(read.fault!, fault);
    });
  }

  it("takes as many tunnels as an agent serves, and not one more", () => {
    const many = Array.from({ length: MAX_TUNNELS }, (_, index) => tunnel(`t${index}`));
    assert.equal(config(many)!.tunnels.length, MAX_TUNNELS);
    assert.match(config([...many, tunnel("one-more")])!.fault!, /There are 10001 tunnels, and an agent serves 10000/);
  });
});
