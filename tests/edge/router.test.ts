import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { hostOf, Router } from "../../src/edge/router.ts";
import { Tunnels } from "../../src/edge/tunnels.ts";
import { FakeSession } from "../support/fake_session.ts";

describe("hostOf", () => {
  const table: [authority: string, host: string][] = [
    ["shop.example.com", "shop.example.com"],
    ["SHOP.Example.com:8080", "shop.example.com"],
    ["shop.example.com.", "shop.example.com"],
    ["shop.example.com.:80", "shop.example.com"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:80", "[::1]"],
    ["[::1]", "[::1]"],
    ["", ""],
  ];
  for (const [authority, host] of table) {
    it(`is ${JSON.stringify(host)} for ${JSON.stringify(authority)}`, () => assert.equal(hostOf(authority), host));
  }
});

describe("Router", () => {
  let router: Router;
  before(async () => {
    const tunnels = new Tunnels();
    const session = new FakeSession("s1");
    await tunnels.claim("shop", "me", session);
    router = new Router(tunnels, "Example.COM");
  });

  const kinds: [authority: string, kind: string][] = [
    ["shop.example.com", "tunnel"],
    ["SHOP.EXAMPLE.COM.:8080", "tunnel"],
    ["other.example.com", "unknown"],
    ["a.shop.example.com", "unknown"],
    [".example.com", "unknown"],
    ["api.example.com", "unknown"],
    ["__proto__.example.com", "unknown"],
    ["shop.example.org", "foreign"],
    ["shopexample.com", "foreign"],
    ["example.com.evil", "foreign"],
    ["edge:8080", "foreign"],
    ["example.com", "own"],
    ["example.com:8080", "own"],
    ["localhost:8080", "own"],
    ["127.0.0.1", "own"],
    ["[::1]:8080", "own"],
    ["", "own"],
  ];
  for (const [authority, kind] of kinds) {
    it(`says ${kind} when Host is ${JSON.stringify(authority)}`, () => {
      assert.equal(router.route(authority).kind, kind);
    });
  }

  it("leads to declared tunnels by name and by hostname, and never by a hostname below the domain", async () => {
    const tunnels = new Tunnels();
    const names: Record<string, string> = {
      "shop.test": "shop",
      "blog.example.com": "shop",
      "a.b.example.com": "shop",
    };
    const declared = { has: (name: string) => name === "shop", ofHost: (host: string) => names[host] ?? null };
    const router = new Router(tunnels, "example.com", declared);
    const kinds = () =>
      ["shop.example.com", "SHOP.test:80", "a.b.example.com", "blog.example.com", "other.test", "x.example.com"]
        .map((host) => router.route(host).kind);
    assert.deepEqual(kinds(), ["offline", "offline", "offline", "unknown", "foreign", "unknown"]);
    await tunnels.claim("shop", "me", new FakeSession("s1"));
    assert.deepEqual(kinds(), ["tunnel", "tunnel", "tunnel", "unknown", "foreign", "unknown"]);
  });

  it("gives the tunnel, or the host that has none", () => {
    const found = router.route("shop.example.com:80");
    assert.equal(found.kind === "tunnel" && found.tunnel.name, "shop");
    assert.deepEqual(router.route("Other.Example.com:80"), { kind: "unknown", host: "other.example.com" });
    assert.deepEqual(router.route("Edge:8080"), { kind: "foreign", host: "edge" });
  });
});
