import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import { CertificateError } from "../../../src/net/mod.ts";
import { datesFault, pinPattern, readCertificatePair } from "../../../src/net/tls/certificate_pair.ts";
import { pem, serverKey } from "../../support/tls.ts";

/** `openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` of server.pem. */
const serverPin = "sha256//fbJOQcEXsdRVI/XsBwhsVWOrQKA9NkQqvjtvluChQQ=";

const otherKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });

describe("readCertificatePair", () => {
  it("reads names, dates and pin, and gives the chain as it is", () => {
    const pair = readCertificatePair(pem("server"), serverKey);
    assert.deepEqual(pair.names, ["localhost", "edge.test"]);
    assert.equal(new Date(pair.validFrom).toISOString(), "2024-01-01T00:00:00.000Z");
    assert.equal(new Date(pair.validTo).toISOString(), "2124-01-01T00:00:00.000Z");
    assert.equal(pair.pin, serverPin);
    assert.match(pair.pin, pinPattern);
    assert.equal(pair.certificate.chain, pem("server"));
  });

  it("has one id for one chain and key, in whatever form the key is", () => {
    const key = createPrivateKey(serverKey);
    const { certificate } = readCertificatePair(pem("server"), serverKey);
    for (const type of ["pkcs8", "sec1"] as const) {
      const text = `a comment\n${key.export({ type, format: "pem" })}`;
      assert.equal(readCertificatePair(pem("server"), text).certificate.id, certificate.id, type);
    }
    assert.notEqual(readCertificatePair(pem("other_name"), serverKey).certificate.id, certificate.id);
  });

  it("has the same pin for another certificate of the same key", () => {
    assert.equal(readCertificatePair(pem("self_signed"), serverKey).pin, serverPin);
  });

  it("takes the key behind the parameters that OpenSSL writes before it", () => {
    const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    const sec1 = createPrivateKey(serverKey).export({ type: "sec1", format: "pem" });
    assert.equal(readCertificatePair(pem("server"), parameters + sec1).pin, serverPin);
  });

  const faults: [what: string, chain: string, key: string, reason: RegExp][] = [
    ["the key is another one's", pem("server"), otherKey as string, /The key is not that of the certificate/],
    ["the key is half written", pem("server"), serverKey.slice(0, 120), /no key in PEM form, or it is incomplete/],
    ["the key is empty", pem("server"), "", /no key in PEM form/],
    ["the certificate is half written", pem("server").slice(0, 300), serverKey, /incomplete/],
    ["the certificate is empty", "", serverKey, /no certificate in PEM form/],
    [
      "the key has a passphrase",
      pem("server"),
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
      /passphrase/,
    ],
    [
      "the key is no key",
      pem("server"),
      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
      /The key cannot be read/,
    ],
  ];
  for (const [what, chain, key, reason] of faults) {
    it(`throws when ${what}`, () => {
      assert.throws(() => readCertificatePair(chain, key), (error) => {
        assert.ok(error instanceof CertificateError);
        assert.match(error.reason, reason);
        return true;
      });
    });
  }
});

describe("datesFault", () => {
  const pair = readCertificatePair(pem("expired"), serverKey);

  it("says when a certificate has expired, or is not valid yet", () => {
    assert.equal(datesFault(pair, Date.parse("2024-01-03")), "expired on 2024-01-02");
    assert.equal(datesFault(pair, Date.parse("2023-12-31")), "is not valid before 2024-01-01");
    assert.equal(datesFault(pair, Date.parse("2024-01-01T12:00:00Z")), null);
  });
});
