import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextCache, DEFAULT_MAX_CONTEXTS } from "../../../src/net/tls/context_cache.ts";
import { CertificateError } from "../../../src/net/tls/certificates.ts";
import { pem, tlsCertificate } from "../../support/tls.ts";

const policy = { id: "p", ca: pem("authority") };
const named = (id: string) => ({ ...tlsCertificate(), id });

describe("ContextCache", () => {
  it("gives the same context for the same certificate and policy, and others elsewhere", () => {
    const cache = new ContextCache();
    const context = cache.get(named("a"), null);
    assert.equal(cache.get(named("a"), null), context);
    assert.notEqual(cache.get(named("b"), null), context);
    assert.notEqual(cache.get(named("a"), policy), context);
    assert.notEqual(cache.get(named("a"), { ...policy, id: "q" }), cache.get(named("a"), policy));
    assert.equal(cache.size, 4);
  });

  it("keeps those that were used last when there are more than its limit", () => {
    const cache = new ContextCache(2);
    const a = cache.get(named("a"), null);
    const b = cache.get(named("b"), null);
    assert.equal(cache.get(named("a"), null), a);
    cache.get(named("c"), null);
    assert.equal(cache.size, 2);
    assert.equal(cache.get(named("a"), null), a);
    assert.notEqual(cache.get(named("b"), null), b);
    assert.equal(cache.size, 2);
  });

  it("keeps 1,024 when nothing else is said", () => {
    assert.equal(DEFAULT_MAX_CONTEXTS, 1_024);
  });

  it("throws, and keeps nothing, when a certificate, its key or a policy is not in order", () => {
    const cache = new ContextCache();
    const { chain, key } = tlsCertificate();
    for (
      const bad of [{ chain: "x", key, id: "1" }, { chain, key: "x", id: "2" }, {
        chain: pem("authority"),
        key,
        id: "3",
      }]
    ) {
      assert.throws(() => cache.get(bad, null));
    }
    assert.throws(() => cache.get(tlsCertificate(), { id: "p", ca: "" }), CertificateError);
    assert.equal(cache.size, 0);
  });
});
