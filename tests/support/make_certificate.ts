/** Certificates for tests, of any names and dates, signed by an authority that is made with them. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";

export interface MadeCertificate {
  /** PEM: the certificate alone. */
  readonly certificate: string;
  /** PEM (PKCS #8). */
  readonly key: string;
}

export interface CertificateWish {
  /** The first is the subject's common name; all are alternative names. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const TAG = { integer: 2, bits: 3, octets: 4, oid: 6, utf8: 12, sequence: 48, set: 49, time: 24 };
const OIDS = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
  commonName: [0x55, 4, 3],
  alternativeNames: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
};

/** Distinguished Encoding Rules (X.690 §10): tag, length, content. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Uint8Array.of(tag, ...size), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(TAG.sequence, ...parts);
const oid = (bytes: readonly number[]) => der(TAG.oid, Uint8Array.from(bytes));
const nameOf = (text: string) =>
  sequence(der(TAG.set, sequence(oid(OIDS.commonName), der(TAG.utf8, Buffer.from(text)))));
/** GeneralizedTime, in seconds. */
const timeOf = (date: Date) => der(TAG.time, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+/g, "")}`));
const algorithm = sequence(oid(OIDS.ecdsaWithSha256));

function pemOf(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function newKey(): { key: KeyObject; pem: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { key: privateKey, pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** An authority with a key of its own. */
export class TestAuthority {
  readonly #key = newKey();
  /** PEM. */
  readonly certificate: string;

  constructor() {
    const wish = { names: ["test authority"], notBefore: new Date(0), notAfter: new Date(Date.UTC(2090, 0)) };
    this.certificate = pemOf(this.#signed(wish, this.#key.key, true));
  }

  /** A certificate with a new key. */
  make(wish: CertificateWish): MadeCertificate {
    const { key, pem } = newKey();
    return { certificate: pemOf(this.#signed(wish, key, false)), key: pem };
  }

  #signed({ names, notBefore, notAfter }: CertificateWish, key: KeyObject, isAuthority: boolean): Uint8Array {
    const alternatives = names.map((name) => der(0x82, Buffer.from(name)));
    const constraint = isAuthority ? sequence(der(1, Uint8Array.of(255))) : sequence();
    const extensions = [
      sequence(oid(OIDS.basicConstraints), der(TAG.octets, constraint)),
      ...(isAuthority ? [] : [sequence(oid(OIDS.alternativeNames), der(TAG.octets, sequence(...alternatives)))]),
    ];
    const content = sequence(
      der(0xa0, der(TAG.integer, Uint8Array.of(2))),
      der(TAG.integer, Uint8Array.of(1), randomBytes(8)),
      algorithm,
      nameOf("test authority"),
      sequence(timeOf(notBefore), timeOf(notAfter)),
      nameOf(names[0]!),
      createPublicKey(key).export({ type: "spki", format: "der" }),
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign("sha256", content, this.#key.key);
    return sequence(content, algorithm, der(TAG.bits, Uint8Array.of(0), signature));
  }
}

/** True where the parts fit: for tests of the maker itself. */
export function isSignedBy(certificate: string, authority: string): boolean {
  return new X509Certificate(certificate).verify(new X509Certificate(authority).publicKey);
}
