import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { publicOriginOf, PublicUrls } from "../../src/edge/public_urls.ts";

const table: [domain: string, publicUrl: string | undefined, port: number, own: string, tunnel: string][] = [
  ["localhost", undefined, 8080, "http://localhost:8080", "http://shop.localhost:8080"],
  ["example.com", undefined, 80, "http://example.com", "http://shop.example.com"],
  ["example.com", "https://example.com", 8080, "https://example.com", "https://shop.example.com"],
  ["example.com", "https://example.com:8443", 8080, "https://example.com:8443", "https://shop.example.com:8443"],
  ["example.com", "http://example.com:80", 8080, "http://example.com", "http://shop.example.com"],
  ["localhost", undefined, 0, "http://localhost", "http://shop.localhost"],
];

describe("publicOriginOf", () => {
  const proxied = { isProxied: true, scheme: "https", authority: "example.com" } as const;

  it("is null when no trusted proxy sent the request", () => {
    assert.equal(publicOriginOf({ ...proxied, isProxied: false }), null);
    assert.equal(publicOriginOf({ scheme: "https", authority: "example.com" }), null);
  });

  it("is the scheme that the proxy told and the port by which it was asked, but for the scheme's own", () => {
    assert.deepEqual(publicOriginOf(proxied), { scheme: "https", port: "" });
    assert.deepEqual(publicOriginOf({ ...proxied, authority: "example.com:443" }), { scheme: "https", port: "" });
    assert.deepEqual(publicOriginOf({ ...proxied, authority: "[::1]:8443" }), { scheme: "https", port: "8443" });
    assert.deepEqual(publicOriginOf({ ...proxied, scheme: "http", authority: "a:443" }), {
      scheme: "http",
      port: "443",
    });
    assert.deepEqual(publicOriginOf({ ...proxied, authority: "example.com:x" }), { scheme: "https", port: "" });
  });
});

describe("PublicUrls", () => {
  it("says how a proxy was asked when it has no public URL, and its public URL where it has one", () => {
    const origin = { scheme: "https", port: "8443" } as const;
    const urls = new PublicUrls("example.com");
    urls.listenPort = 8080;
    assert.equal(urls.of("shop", { origin }), "https://shop.example.com:8443");
    assert.equal(urls.at("*.example.net", { scheme: "https", port: "" }), "https://*.example.net");
    assert.equal(urls.of("shop", { origin: null }), "http://shop.example.com:8080");
    assert.equal(
      new PublicUrls("example.com", new URL("https://example.com")).of("shop", { origin }),
      "https://shop.example.com",
    );
  });

  for (const [domain, publicUrl, port, own, tunnel] of table) {
    it(`says ${tunnel} when the domain is ${domain}, the public URL ${publicUrl} and the port ${port}`, () => {
      const urls = new PublicUrls(domain, publicUrl === undefined ? undefined : new URL(publicUrl));
      urls.listenPort = port;
      assert.equal(urls.of(), own);
      assert.equal(urls.of("shop"), tunnel);
      assert.equal(urls.scheme, own.startsWith("https") ? "https" : "http");
    });
  }
});

describe("PublicUrls of an edge with TLS", () => {
  const table: [publicUrl: string | undefined, port: number, tunnel: string][] = [
    [undefined, 443, "https://shop.example.com"],
    [undefined, 8443, "https://shop.example.com:8443"],
    [undefined, 80, "https://shop.example.com:80"],
    ["https://example.com", 8443, "https://shop.example.com"],
    ["http://example.com:8080", 8443, "http://shop.example.com:8080"],
  ];
  for (const [publicUrl, port, tunnel] of table) {
    it(`says ${tunnel} when the public URL is ${publicUrl} and the port ${port}`, () => {
      const urls = new PublicUrls("example.com", publicUrl === undefined ? undefined : new URL(publicUrl), "https");
      urls.listenPort = port;
      assert.equal(urls.of("shop"), tunnel);
    });
  }
});
