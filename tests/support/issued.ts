/** Certificates that a test makes for itself, of an authority of its own. */
import * as x509 from "@peculiar/x509";
import { readCertificatePair } from "../../src/net/mod.ts";
import type { CertificatePair } from "../../src/net/tls/certificate_pair.ts";

export interface Wish {
  /** DNS names. Default `localhost`. */
  readonly names?: readonly string[];
  /** Default: from yesterday to a month from now. */
  readonly from?: Date;
  readonly to?: Date;
  /** True: for a client, and not for a server. Default false. */
  readonly isForClient?: boolean;
}

export interface Issued {
  /** PEM. */
  readonly chain: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

x509.cryptoProvider.set(crypto);

export class TestAuthority {
  /** Its own certificate. */
  readonly pem: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: CryptoKeyPair;
  #serial = 1;

  private constructor(certificate: x509.X509Certificate, keys: CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.pem = `${certificate.toString("pem")}\n`;
  }

  static async create(name = "test authority"): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 365 * DAY_MS),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new TestAuthority(certificate, keys);
  }

  async issue({ names = ["localhost"], from, to, isForClient = false }: Wish = {}): Promise<Issued> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (++this.#serial).toString(16).padStart(4, "0"),
      subject: `CN=test ${names[0]?.replace("*", "any")}`,
      issuer: this.#certificate.subject,
      notBefore: from ?? new Date(Date.now() - DAY_MS),
      notAfter: to ?? new Date(Date.now() + 30 * DAY_MS),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          isForClient ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth,
        ]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
      ],
    });
    const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
    const key = `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`;
    return { chain: `${certificate.toString("pem")}\n`, key };
  }

  async pair(wish?: Wish): Promise<CertificatePair> {
    const { chain, key } = await this.issue(wish);
    return readCertificatePair(chain, key);
  }
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}
