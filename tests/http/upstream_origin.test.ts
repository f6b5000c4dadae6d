import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Fields, RequestHead } from "../../src/http/message.ts";
import { type Origin, withUpstreamOrigin } from "../../src/http/upstream_origin.ts";
import { never, requestHead } from "../support/client_requests.ts";

const upstream: Origin = { scheme: "http", authority: "127.0.0.1:3000" };
const shop = { scheme: "https", authority: "shop.example.com" } as const;

/** The fields that the upstream gets of `fields`. */
async function asked(fields: Fields, visited: Partial<RequestHead> = shop, to = upstream): Promise<Fields> {
  let got: Fields = [];
  const handler = withUpstreamOrigin((head) => {
    got = head.fields;
    return Promise.resolve({ status: 204, fields: [], body: null });
  }, to);
  await handler(requestHead({ ...visited, fields }), null, never);
  return got;
}

/** The fields that the visitor gets of `fields`. */
async function answered(fields: Fields, visited: Partial<RequestHead> = shop, from = upstream): Promise<Fields> {
  const handler = withUpstreamOrigin(() => Promise.resolve({ status: 302, fields, body: null }), from);
  return (await handler(requestHead(visited), null, never)).fields;
}

describe("withUpstreamOrigin: requests", () => {
  const follow: [name: string, value: string, wanted: string][] = [
    ["Origin", "https://shop.example.com", "http://127.0.0.1:3000"],
    ["ORIGIN", "HTTPS://Shop.Example.com:443", "http://127.0.0.1:3000"],
    [
      "Referer",
      "https://shop.example.com/a?b=https://shop.example.com#c",
      "http://127.0.0.1:3000/a?b=https://shop.example.com#c",
    ],
    ["referer", "https://shop.example.com", "http://127.0.0.1:3000"],
    ["Referer", "https://shop.example.com?x", "http://127.0.0.1:3000?x"],
    ["Destination", "https://shop.example.com/dav/%41", "http://127.0.0.1:3000/dav/%41"],
  ];
  for (const [name, value, wanted] of follow) {
    it(`turns ${name}: ${value} into the upstream's own`, async () => {
      assert.deepEqual(await asked([name, value, "X", value]), [name, wanted, "X", value]);
    });
  }

  const strange = [
    ...["null", "", "https://evil.test", "http://shop.example.com", "https://shop.example.com:8443"],
    ...["https://shop.example.com.evil.test", "https://evil-shop.example.com", "https://a.shop.example.com"],
    ...["https://shop.example.com@evil.test", "https://user@shop.example.com", "https://shop.example.com:443:443"],
    ...["https://shop.example.com\\@evil.test", "https://evil.test/https://shop.example.com", "//shop.example.com"],
    ...["https:/shop.example.com", "https:shop.example.com", "wss://shop.example.com", "shop.example.com"],
    ...["https://shop.example.com evil", "https://shop.example.com, https://evil.test", " https://shop.example.com"],
    ...["https://shop.example.com.", "https://shop%2eexample.com", "/path", "https://"],
  ];
  for (const value of strange) {
    it(`leaves the origin of another alone when it is ${JSON.stringify(value)}`, async () => {
      const fields = ["Origin", value, "Referer", value, "Destination", value];
      assert.equal(await asked(fields), fields, "the very same fields");
    });
  }

  it("leaves an Origin alone when there is more behind it", async () => {
    for (const value of ["https://shop.example.com/", "https://shop.example.com/x", "https://shop.example.com?"]) {
      assert.deepEqual(await asked(["Origin", value]), ["Origin", value]);
    }
  });

  it("takes scheme, host and port from the request itself", async () => {
    const origins = ["http://shop.localhost:8080", "https://shop.localhost:8080", "http://shop.localhost"];
    for (const [visited, own] of [["http", 0], ["https", 1]] as const) {
      const got = await asked(origins.flatMap((origin) => ["Origin", origin]), {
        scheme: visited,
        authority: "shop.localhost:8080",
      });
      const wanted = origins.map((origin, index) => index === own ? "http://127.0.0.1:3000" : origin);
      assert.deepEqual(got.filter((_, index) => index % 2 === 1), wanted);
    }
    assert.deepEqual(await asked(["Origin", "http://shop"], { scheme: "http", authority: "" }), [
      "Origin",
      "http://shop",
    ]);
  });

  it("keeps the upstream's scheme and the form of its host", async () => {
    for (const own of ["https://app.internal", "http://[::1]:3000", "http://localhost"]) {
      const [scheme, authority] = own.split("://") as ["http" | "https", string];
      assert.deepEqual(await asked(["Origin", "https://shop.example.com"], shop, { scheme, authority }), [
        "Origin",
        own,
      ]);
    }
  });
});

describe("withUpstreamOrigin: answers", () => {
  const back: [name: string, value: string, wanted: string][] = [
    ["Location", "http://127.0.0.1:3000/login?next=/", "https://shop.example.com/login?next=/"],
    ["location", "HTTP://127.0.0.1:3000", "https://shop.example.com"],
    ["Location", "//127.0.0.1:3000/x", "//shop.example.com/x"],
    ["Location", "https://127.0.0.1:3000/x", "https://shop.example.com/x"],
    ["Content-Location", "http://127.0.0.1:3000/a.en", "https://shop.example.com/a.en"],
    ["Refresh", "0; url=http://127.0.0.1:3000/x", "0; url=https://shop.example.com/x"],
    ["Refresh", `5;URL='http://127.0.0.1:3000'`, `5;URL='https://shop.example.com'`],
    ["Refresh", `5 , url = "http://127.0.0.1:3000/x"`, `5 , url = "https://shop.example.com/x"`],
  ];
  for (const [name, value, wanted] of back) {
    it(`turns ${name}: ${value} back to the public origin`, async () => {
      assert.deepEqual(await answered([name, value, "X", value]), [name, wanted, "X", value]);
    });
  }

  const others = [
    ...["/login", "login", "?x", "", "//evil.test/x", "https://evil.test/127.0.0.1:3000", "http://127.0.0.1:3001/"],
    ...["http://127.0.0.1/", "http://127.0.0.1:3000@evil.test/", "http://localhost:3000/", "ftp://127.0.0.1:3000/"],
    ...["https://shop.example.com/x", "http://127.0.0.1:3000.evil.test", "//127.0.0.1:3000@evil.test"],
    ...["http://127.0.0.1:3000\\@evil.test/", "http://", "//"],
  ];
  for (const value of others) {
    it(`leaves ${JSON.stringify(value)} alone`, async () => {
      const fields = ["Location", value, "Content-Location", value, "Refresh", `0; url=${value}`];
      assert.equal(await answered(fields), fields, "the very same fields");
    });
  }

  it("leaves a Refresh without a URL alone", async () => {
    for (const value of ["5", "5; http://127.0.0.1:3000/", `0; url=${"x".repeat(50_000)}`, ";".repeat(50_000)]) {
      assert.deepEqual(await answered(["Refresh", value]), ["Refresh", value]);
    }
  });

  it("knows ports by their scheme", async () => {
    const plain = { scheme: "http", authority: "app" } as const;
    const secure = { scheme: "https", authority: "app" } as const;
    const table: [Origin, string, string][] = [
      [plain, "http://app:80/x", "https://shop.example.com/x"],
      // It believes X-Forwarded-Proto.
      [plain, "https://app/x", "https://shop.example.com/x"],
      [plain, "https://app:80/x", "https://app:80/x"],
      [secure, "https://app:443/x", "https://shop.example.com/x"],
      [secure, "http://app/x", "http://app/x"],
    ];
    for (const [own, value, wanted] of table) {
      assert.deepEqual(await answered(["Location", value], shop, own), ["Location", wanted]);
    }
    assert.deepEqual(await answered(["Location", "https://app/x"], { scheme: "http", authority: "shop.test" }, plain), [
      "Location",
      "https://app/x",
    ]);
  });

  it("leaves everything alone when the request had no Host", async () => {
    assert.deepEqual(await answered(["Location", "http://127.0.0.1:3000/"], { authority: "" }), [
      "Location",
      "http://127.0.0.1:3000/",
    ]);
  });
});
