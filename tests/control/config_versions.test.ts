/** The versions of nodes' configs: what makes a new one, who is told of it and why, and what agents get. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeConfigOf } from "../../src/control/mod.ts";
import { newTunnel, onControlStage } from "./stage.ts";

describe("The version of a node's config", () => {
  it("is the revision of the last change of the node or of a tunnel of it, and of nothing else", () =>
    onControlStage(async ({ control, store, changed }) => {
      const versions = () => [...control.directory.nodes.values()].map(({ key, revision }) => [key, revision]);
      await control.addNode("web-1", {}, "admin");
      await control.addNode("web-2", {}, "admin");
      assert.deepEqual(changed(), [["web-1", 1, "fleet"], ["web-2", 2, "fleet"]]);
      await control.addTunnel(newTunnel("a"), "admin");
      assert.deepEqual(changed(), [["web-1", 3, "tunnel"]]);
      await control.setTunnel(newTunnel("a", { upstream: "http://127.0.0.1:4000" }), "admin");
      assert.deepEqual(changed(), [["web-1", 4, "tunnel"]]);
      await control.addToken("pr-*", null, "admin");
      assert.deepEqual(changed(), []);
      assert.deepEqual(versions(), [["web-1", 4], ["web-2", 2]]);
      await control.rotateNode("web-2", 0, "admin");
      assert.deepEqual(changed(), [["web-2", 6, "fleet"]]);
      await control.removeTunnel("a", "admin");
      assert.deepEqual(changed(), [["web-1", 7, "tunnel"]]);
      assert.deepEqual(versions(), [["web-1", 7], ["web-2", 6]]);
      assert.equal(await store.revision(), 7);
    }));

  it("is a new one for the node that loses a tunnel, and for the one that gets it", () =>
    onControlStage(async ({ control, changed }) => {
      for (const name of ["web-1", "web-2", "web-3"]) await control.addNode(name, {}, "admin");
      await control.addTunnel(newTunnel("a", { nodes: ["web-1", "web-2"] }), "admin");
      changed();
      await control.setTunnel(newTunnel("a", { nodes: ["web-2", "web-3"] }), "admin");
      assert.deepEqual(changed().sort(), [["web-1", 5, "tunnel"], ["web-2", 5, "tunnel"], ["web-3", 5, "tunnel"]]);
    }));

  it("stays where a tunnel is set to what it is", () =>
    onControlStage(async ({ control, changed }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("a"), "admin");
      changed();
      await control.setTunnel(newTunnel("a"), "admin");
      assert.deepEqual(changed(), []);
    }));

  it("is a new one for the nodes that share a tunnel with a node that is removed, which is not told", () =>
    onControlStage(async ({ control, changed }) => {
      for (const name of ["web-1", "web-2"]) await control.addNode(name, {}, "admin");
      await control.addTunnel(newTunnel("a", { nodes: ["web-1", "web-2"] }), "admin");
      await control.addTunnel(newTunnel("b"), "admin");
      changed();
      await control.removeNode("web-1", "admin");
      assert.deepEqual(changed(), [["web-2", 5, "fleet"]]);
    }));

  it("is told of behind the commit, when the directory has it", () => {
    const seen: unknown[] = [];
    let look = (_node: string): void => {};
    return onControlStage(async ({ control }) => {
      look = (node) => seen.push(nodeConfigOf(control.directory, node)?.version);
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("a"), "admin");
      assert.deepEqual(seen, [1, 2]);
    }, { onConfigChanged: (node) => look(node) });
  });
});

describe("A node's config", () => {
  it("has its tunnels under the keys of a file, sorted, and what is as usual is left out", () =>
    onControlStage(async ({ control }) => {
      const { node } = await control.addNode("web-1", {}, "admin");
      await control.addNode("web-2", {}, "admin");
      const settings = { hostHeader: "rewrite", timeouts: { firstByte: "90s", idle: "off" }, compress: true };
      const upstream = "127.0.0.1:5432";
      await control.addTunnel(newTunnel("shop", { settings, hostnames: ["shop.test"], requires: ["x"] }), "admin");
      await control.addTunnel(newTunnel("db", { kind: "tcp", port: 20_001, upstream }), "admin");
      await control.addTunnel(newTunnel("other", { nodes: ["web-2"] }), "admin");
      const config = nodeConfigOf(control.directory, "web-1")!;
      assert.deepEqual([config.nodeId, config.version], [node.id, 4]);
      const [db, shop] = config.tunnels.map(({ id: _, ...tunnel }) => tunnel);
      assert.deepEqual(db, { name: "db", kind: "tcp", upstream, hostnames: [], port: 20_001 });
      const usual = { name: "shop", kind: "http", upstream: "http://127.0.0.1:3000", hostnames: ["shop.test"] };
      assert.deepEqual(shop, { ...usual, requires: ["x"], ...settings });
      assert.equal(nodeConfigOf(control.directory, "web-9"), null);
    }));

  it("has the same checksum while its tunnels are the same, whatever its version is", () =>
    onControlStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("a"), "admin");
      const first = nodeConfigOf(control.directory, "web-1")!;
      assert.match(first.checksum, /^[0-9a-f]{64}$/);
      await control.rotateNode("web-1", 0, "admin");
      const second = nodeConfigOf(control.directory, "web-1")!;
      assert.ok(second.version > first.version);
      assert.equal(second.checksum, first.checksum);
      await control.setTunnel(newTunnel("a", { settings: { compress: true } }), "admin");
      assert.notEqual(nodeConfigOf(control.directory, "web-1")!.checksum, first.checksum);
    }));
});
