import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientPolicyOf } from "../../src/edge/client_policies.ts";

const [general, ofShop] = ["general", "shop"].map((id) => ({ id, ca: "" })) as [
  { id: string; ca: string },
  { id: string; ca: string },
];

describe("clientPolicyOf", () => {
  /** The tunnel of each hostname; it may change while the policies are in use. */
  const tunnelOf = new Map<string, string>();
  const declared = { has: () => true, ofHost: (host: string) => tunnelOf.get(host) ?? null };

  const cases: [host: string | null, both: string | null, shopAlone: string | null][] = [
    // Agents connect there.
    [null, null, null],
    ["example.com", null, null],
    ["localhost", null, null],
    ["shop.example.com", "shop", "shop"],
    ["blog.example.com", "general", null],
    ["a.shop.example.com", "general", null],
    ["shop.customer.test", "shop", "shop"],
    ["blog.customer.test", "general", null],
    ["customer.test", "general", null],
    // Names of the domain are those of tunnels alone.
    ["other.example.com", "general", null],
  ];
  for (const [host, both, shopAlone] of cases) {
    it(`has ${both} for ${host} beside a general one, and ${shopAlone} without it`, () => {
      tunnelOf.clear();
      tunnelOf.set("shop.customer.test", "shop").set("blog.customer.test", "blog").set("other.example.com", "shop");
      const ofTunnel = new Map([["shop", ofShop]]);
      const withBoth = clientPolicyOf({ general, ofTunnel }, "Example.com", declared);
      const withShop = clientPolicyOf({ general: null, ofTunnel }, "Example.com", declared);
      assert.equal(withBoth(host)?.id ?? null, both);
      assert.equal(withShop(host)?.id ?? null, shopAlone);
    });
  }

  it("follows hostnames as they are declared and withdrawn", () => {
    tunnelOf.clear();
    const policyOf = clientPolicyOf({ general: null, ofTunnel: new Map([["shop", ofShop]]) }, "example.com", declared);
    assert.equal(policyOf("new.customer.test"), null);
    tunnelOf.set("new.customer.test", "shop");
    assert.equal(policyOf("new.customer.test"), ofShop);
    tunnelOf.set("new.customer.test", "blog");
    assert.equal(policyOf("new.customer.test"), null);
  });
});
