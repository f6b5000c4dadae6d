import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OptionError } from "../../src/base/mod.ts";
import type { Fields } from "../../src/http/message.ts";
import { TrustedProxies, trustedProxyFault, UNIX_PEER } from "../../src/http/trusted_proxies.ts";

const PROXY = "10.0.0.1";
const trusted = new TrustedProxies(["10.0.0.0/8", "2001:db8:1::/48"]);
const byForwarded = new TrustedProxies(["10.0.0.0/8"], { usesForwarded: true });

const clientOf = (fields: Fields, peer = PROXY) => trusted.visitorOf(peer, "http", fields).client;
const xff = (value: string) => ["X-Forwarded-For", value];

describe("TrustedProxies.isTrusted", () => {
  const words = new TrustedProxies(["loopback", "private"]);
  const cases: readonly (readonly [trust: TrustedProxies, address: string, isTrusted: boolean])[] = [
    [words, "127.0.0.1", true],
    [words, "127.8.8.8", true],
    [words, "::1", true],
    [words, UNIX_PEER, true],
    [words, "10.255.255.255", true],
    [words, "172.16.0.1", true],
    [words, "172.32.0.1", false],
    [words, "192.168.1.1", true],
    [words, "fd00::1", true],
    [words, "fe80::1", false],
    [words, "203.0.113.9", false],
    [words, "", false],
    [words, "localhost", false],
    [trusted, UNIX_PEER, false],
    [trusted, "::ffff:10.1.2.3", true],
    [trusted, "2001:db8:1:2::3", true],
    [trusted, "2001:db8:2::3", false],
    [new TrustedProxies([]), "127.0.0.1", false],
  ];
  for (const [trust, address, isTrusted] of cases) {
    it(`is ${isTrusted} when the address is ${JSON.stringify(address)}`, () => {
      assert.equal(trust.isTrusted(address), isTrusted);
      assert.equal(trust.isTrusted(address), isTrusted, "the second time, out of the cache");
    });
  }

  it("refuses what is no address, block or word, with the text", () => {
    for (const text of ["", "localhost", "10.0.0.0/33", "10.0.0.0/8,::1", "Loopback", "example.com"]) {
      assert.match(trustedProxyFault(text) ?? "", /loopback, private, an address/);
      assert.throws(() => new TrustedProxies([text]), (error) => error instanceof OptionError);
    }
  });
});

describe("TrustedProxies.visitorOf", () => {
  it("believes nothing when the peer is not trusted", () => {
    const fields = [
      ...xff("6.6.6.6"),
      "X-Forwarded-Proto",
      "https",
      "Forwarded",
      "for=6.6.6.6",
      "X-Request-ID",
      "mine",
    ];
    const nobody = { client: "203.0.113.9", scheme: "http", isProxied: false, requestId: undefined };
    assert.deepEqual(trusted.visitorOf("203.0.113.9", "http", fields), nobody);
    assert.deepEqual(trusted.visitorOf(UNIX_PEER, "http", fields), { ...nobody, client: "" });
  });

  const lists: readonly (readonly [fields: Fields, client: string])[] = [
    [[], PROXY],
    [xff(""), PROXY],
    [xff("203.0.113.9"), "203.0.113.9"],
    [xff(" 203.0.113.9\t"), "203.0.113.9"],
    [xff("6.6.6.6, 203.0.113.9"), "203.0.113.9"],
    [xff("6.6.6.6, 203.0.113.9, 10.0.0.2,10.0.0.3"), "203.0.113.9"],
    [xff("203.0.113.9,, 10.0.0.2, "), "203.0.113.9"],
    // Several lines are one list.
    [["X-Forwarded-For", "6.6.6.6", "x-forwarded-for", "203.0.113.9", "X-Forwarded-For", "10.0.0.2"], "203.0.113.9"],
    // Where all are trusted, the first proxy is the one who asks.
    [xff("10.0.0.9, 10.0.0.2"), "10.0.0.9"],
    [xff("203.0.113.9:51234"), "203.0.113.9"],
    [xff("[2001:db8::9]"), "2001:db8::9"],
    [xff("[2001:DB8:0:0::9]:51234"), "2001:db8::9"],
    [xff("2001:db8::9"), "2001:db8::9"],
    [xff("6.6.6.6, 2001:db8:1::7"), "6.6.6.6"],
    [xff("::ffff:203.0.113.9"), "203.0.113.9"],
    [xff("::ffff:10.0.0.2"), "10.0.0.2"],
    // What no proxy knows, nobody in front of it can say.
    [xff("6.6.6.6, unknown"), PROXY],
    [xff("6.6.6.6, _hidden, 10.0.0.2"), "10.0.0.2"],
    [xff("6.6.6.6, 203.0.113.9 10.0.0.2"), PROXY],
    [xff("6.6.6.6, 203.0.113"), PROXY],
    [xff("6.6.6.6, 203.0.113.09"), PROXY],
    [xff("6.6.6.6, [203.0.113.9]"), PROXY],
    [xff("6.6.6.6, 203.0.113.9:"), PROXY],
    [xff("6.6.6.6, fe80::1%eth0"), PROXY],
    [xff(`6.6.6.6, ${"1".repeat(70)}`), PROXY],
    [xff('6.6.6.6, "203.0.113.9"'), PROXY],
    // Forwarded counts by a flag alone, and X-Real-IP not at all.
    [["Forwarded", "for=6.6.6.6", "X-Real-IP", "6.6.6.6"], PROXY],
    [["X_Forwarded_For", "6.6.6.6"], PROXY],
  ];
  for (const [fields, client] of lists) {
    it(`says ${client} when a trusted proxy sends ${JSON.stringify(fields)}`, () => {
      assert.equal(clientOf(fields), client);
    });
  }

  it("looks at 32 entries when a visitor has filled a list with trusted addresses", () => {
    const own = Array.from({ length: 6_000 }, (_, index) => `10.9.${index >> 8}.${index & 255}`).reverse();
    assert.equal(clientOf(xff(own.join(","))), "10.9.0.31");
  });

  it("says what the proxy next to it says, whatever stands before in the list", () => {
    const text = fc.string({ maxLength: 40 }).map((before) => before.replaceAll(/[^\x20-\x7e]/g, ""));
    fc.assert(fc.property(text, (before) => {
      assert.equal(clientOf(xff(`${before},203.0.113.9`)), "203.0.113.9");
      assert.equal(clientOf(["X-Forwarded-For", before, "X-Forwarded-For", "203.0.113.9"]), "203.0.113.9");
    }));
  });

  const schemes: readonly (readonly [addresses: string, protos: string | null, scheme: string])[] = [
    ["203.0.113.9", null, "http"],
    ["203.0.113.9", "https", "https"],
    ["203.0.113.9", "HTTPS", "https"],
    ["203.0.113.9", "wss", "https"],
    ["203.0.113.9", "ftp", "http"],
    ["203.0.113.9", "", "http"],
    ["", "https", "https"],
    // The visitor's own entry stands before that of the proxy that appends.
    ["6.6.6.6, 203.0.113.9", "https, http", "http"],
    ["203.0.113.9, 10.0.0.2", "https, http", "https"],
    // One that every proxy passes on.
    ["203.0.113.9, 10.0.0.2", "https", "https"],
  ];
  for (const [addresses, protos, scheme] of schemes) {
    it(`says ${scheme} when the list is ${addresses} and X-Forwarded-Proto is ${protos}`, () => {
      const proto = protos === null ? [] : ["X-Forwarded-Proto", protos];
      assert.equal(trusted.visitorOf(PROXY, "http", [...xff(addresses), ...proto]).scheme, scheme);
    });
  }

  it("keeps the scheme of the connection when a proxy says none, and takes http for https when it says so", () => {
    assert.equal(trusted.visitorOf(PROXY, "https", []).scheme, "https");
    assert.equal(trusted.visitorOf(PROXY, "https", ["X-Forwarded-Proto", "http"]).scheme, "http");
  });

  const ids: readonly (readonly [fields: Fields, id: string | undefined])[] = [
    [[], undefined],
    [["X-Request-ID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"], "6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
    [["x-request-id", "Root=1-67891233-abcdef;".slice(0, -1)], "Root=1-67891233-abcdef"],
    [["X-Request-ID", ""], undefined],
    [["X-Request-ID", "two words"], undefined],
    [["X-Request-ID", 'a"b'], undefined],
    [["X-Request-ID", "\xe9"], undefined],
    [["X-Request-ID", "a".repeat(128)], "a".repeat(128)],
    [["X-Request-ID", "a".repeat(129)], undefined],
    [["X-Request-ID", "one", "X-Request-ID", "two"], undefined],
  ];
  for (const [fields, id] of ids) {
    it(`takes the id ${id?.slice(0, 40)} when a trusted proxy sends ${JSON.stringify(fields).slice(0, 80)}`, () => {
      assert.equal(trusted.visitorOf(PROXY, "http", fields).requestId, id);
    });
  }
});

describe("TrustedProxies.visitorOf with usesForwarded", () => {
  const cases: readonly (readonly [fields: Fields, client: string, scheme: string])[] = [
    [[], PROXY, "http"],
    [["Forwarded", "for=203.0.113.9;proto=https"], "203.0.113.9", "https"],
    [["Forwarded", 'For="[2001:db8:cafe::17]:4711"; Proto=HTTPS ; by=10.0.0.1'], "2001:db8:cafe::17", "https"],
    [["Forwarded", "for=6.6.6.6;proto=https, for=203.0.113.9, for=10.0.0.2;proto=http"], "203.0.113.9", "http"],
    [["Forwarded", "for=6.6.6.6", "forwarded", "for=203.0.113.9;proto=https"], "203.0.113.9", "https"],
    [["Forwarded", "for=6.6.6.6, for=unknown"], PROXY, "http"],
    [["Forwarded", "for=6.6.6.6, proto=https"], PROXY, "http"],
    // In its place, not beside it.
    [["X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https"], PROXY, "http"],
    [["X-Forwarded-For", "6.6.6.6", "Forwarded", "for=203.0.113.9"], "203.0.113.9", "http"],
    // A quote that a visitor leaves open hides nothing of the proxy's.
    [["Forwarded", 'for=6.6.6.6;x=", for=203.0.113.9'], PROXY, "http"],
    [["Forwarded", 'for=6.6.6.6;x=", for="[2001:db8::1]";by="x"'], PROXY, "http"],
    [["Forwarded", 'for=6.6.6.6;x="\\", for="[2001:db8::1]"'], PROXY, "http"],
    [["Forwarded", "for=6.6.6.6 for=6.6.6.7"], PROXY, "http"],
    [["Forwarded", "for = 6.6.6.6"], PROXY, "http"],
    [["Forwarded", "6.6.6.6"], PROXY, "http"],
  ];
  for (const [fields, client, scheme] of cases) {
    it(`says ${client} by ${scheme} when a trusted proxy sends ${JSON.stringify(fields)}`, () => {
      const visitor = byForwarded.visitorOf(PROXY, "http", fields);
      assert.deepEqual([visitor.client, visitor.scheme], [client, scheme]);
    });
  }

  it("says what the proxy next to it says, or only the proxy, whatever stands before", () => {
    const pieces = fc.array(fc.constantFrom("for=", "6.6.6.6", '"', "\\", ",", ";", " ", "x", "="), { maxLength: 12 });
    fc.assert(fc.property(pieces, (before) => {
      const { client } = byForwarded.visitorOf(PROXY, "http", ["Forwarded", `${before.join("")}, for=203.0.113.9`]);
      assert.ok(client === "203.0.113.9" || client === PROXY, client);
    }));
  });

  it("reads a long list in one pass", () => {
    const value = `${" ".repeat(30_000)}${"for=10.0.0.7,".repeat(2_000)}for=203.0.113.9`;
    assert.equal(byForwarded.visitorOf(PROXY, "http", ["Forwarded", value]).client, "203.0.113.9");
    assert.equal(byForwarded.visitorOf(PROXY, "http", ["Forwarded", `${" ".repeat(60_000)}"`]).client, PROXY);
  });
});
