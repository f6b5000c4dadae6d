/** Our own check of a client's certificate, without a runtime that looked at it before. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { certificateUses } from "../../../src/net/tls/certificate_extensions.ts";
import { describeCertificate, distrustClient } from "../../../src/net/tls/client_certificate.ts";
import { authorityExtensions, makeCertificate } from "../../support/openssl.ts";
import { missingPeer } from "../../support/peers.ts";
import { withScratch } from "../../support/scratch.ts";
import { type CertificateName, pem } from "../../support/tls.ts";

const certificate = (name: CertificateName | "authority") => new X509Certificate(pem(name));
const authorities = [certificate("authority")];

describe("distrustClient", () => {
  const cases: [what: string, chain: X509Certificate[], reason: RegExp][] = [
    ["there is none", [], /^it shows no certificate$/],
    ["has expired", [certificate("expired")], /^its certificate expired on 2024-01-02$/],
    ["is for servers", [certificate("server")], /^its certificate is not for clients$/],
    ["is self-signed", [certificate("self_signed")], /^its certificate is self-signed$/],
  ];
  for (const [what, chain, reason] of cases) {
    it(`says so when the certificate ${what}`, () => {
      assert.match(distrustClient(chain, authorities)?.reason ?? "trusted", reason);
    });
  }

  it("trusts nothing when there are no authorities", () => {
    assert.notEqual(distrustClient([certificate("authority")], []), null);
  });

  it("says that it cannot be read when it is no certificate", () => {
    const broken = { validFrom: "some day", validTo: "another" } as unknown as X509Certificate;
    assert.equal(distrustClient([broken], authorities)?.reason, "its certificate cannot be read");
  });

  const skip = missingPeer("openssl");

  it(
    "follows signatures, purposes and path lengths when there are several certificates",
    { skip },
    () =>
      withScratch(async (folder) => {
        const make = async (name: string, extensions?: string, signer?: Awaited<ReturnType<typeof makeCertificate>>) =>
          await makeCertificate(folder, name, { extensions, signer });
        const read = ({ pem }: { pem: string }) => new X509Certificate(pem);
        const root = await make("root", authorityExtensions);
        const limited = await make("limited", authorityExtensions.replace("CA:TRUE", "CA:TRUE, pathlen:0"), root);
        const below = await make("below", authorityExtensions, limited);
        const alice = await make("alice", undefined, root);
        const bob = await make("bob", undefined, limited);
        const carol = await make("carol", undefined, below);
        const dave = await make("dave", undefined, alice);
        const [a, b, c, d] = [alice, bob, carol, dave].map(read);
        const trusted = [read(root)];
        assert.equal(distrustClient([a], trusted), null);
        assert.equal(distrustClient([b, read(limited)], trusted), null);
        assert.equal(distrustClient([b, a, c, read(limited)], trusted), null, "others stand between");
        assert.equal(distrustClient([c, read(below), read(limited)], [read(limited)])?.fault, "certificate");
        for (const chain of [[b], [c, read(below), read(limited)], [d, a], [c]]) {
          assert.match(distrustClient(chain, trusted)?.reason ?? "trusted", /signed by an unknown authority$/);
        }
        assert.equal(describeCertificate(a).subject, "CN=alice");
      }),
  );

  it("knows what a certificate may be used for", { skip }, () =>
    withScratch(async (folder) => {
      const rows: [extensions: string, isAuthority: boolean, pathLength: number, isForClients: boolean][] = [
        [authorityExtensions, true, Infinity, true],
        ["basicConstraints = CA:TRUE, pathlen:3", true, 3, true],
        ["basicConstraints = CA:TRUE\nkeyUsage = digitalSignature", false, Infinity, true],
        ["basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth", false, Infinity, false],
        ["extendedKeyUsage = critical, serverAuth, clientAuth", false, 0, true],
        ["extendedKeyUsage = anyExtendedKeyUsage", false, 0, true],
        ["subjectAltName = DNS:a.test", false, 0, true],
      ];
      for (const [extensions, isAuthority, pathLength, isForClients] of rows) {
        const { pem } = await makeCertificate(folder, "one", { extensions });
        const uses = certificateUses(new X509Certificate(pem).raw);
        assert.deepEqual(uses, { isAuthority, pathLength, isForClients }, extensions);
      }
    }));

  it("throws when bytes are no certificate", () => {
    const { raw } = certificate("server");
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0x30, 0x80), raw.subarray(0, 40), Uint8Array.of(4, 0)]) {
      assert.throws(() => certificateUses(bytes));
    }
  });
});
