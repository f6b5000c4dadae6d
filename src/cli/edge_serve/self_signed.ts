/**
 * `--tls-self-signed`: a certificate that the edge makes for itself, so that a first set-up without a domain is encrypted.
 * Agents know its key by the pin, which stays the same while the key does: the certificate alone is renewed.
 */
import { networkInterfaces } from "node:os";
import { isIP } from "node:net";
import { type Clock, messageOf, systemClock, type Timer } from "../../base/mod.ts";
import { createPrivateFile, DataFolderError, readIfExists, replacePrivateFile } from "../../config/mod.ts";
import {
  type CertificatePair,
  type CertificateSource,
  isLoopback,
  type ListenTarget,
  readCertificatePair,
  type TlsCertificate,
} from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";

const DAY_MS = 86_400_000;
/** Browsers take none that lives much longer. */
const LIFETIME_MS = 365 * DAY_MS;
/** Clocks of clients may be behind. */
const BACKDATED_MS = DAY_MS;
/** Some machines have hundreds of addresses. */
const MAX_ADDRESSES = 64;

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };

export interface SelfSignedOptions {
  /** The file that holds key and certificate. */
  readonly path: string;
  /** What it is for: names in lower case, wildcards among them, and IP addresses. */
  readonly names: readonly string[];
  readonly clock?: Clock;
  /** Milliseconds of the wall clock. Default `Date.now`. */
  readonly now?: () => number;
}

export class SelfSignedCertificate implements CertificateSource {
  readonly #options: Required<SelfSignedOptions>;
  #pair: CertificatePair;
  #timer: Timer | null = null;
  #isClosed = false;

  private constructor(options: Required<SelfSignedOptions>, pair: CertificatePair) {
    this.#options = options;
    this.#pair = pair;
    this.#lookLater();
  }

  /**
   * Reads key and certificate, makes what is missing, and renews the certificate until `close()`.
   *
   * @throws {DataFolderError} where the file cannot be read or written
   */
  static async open(given: SelfSignedOptions): Promise<SelfSignedCertificate> {
    const { clock = systemClock, now = Date.now } = given;
    const options = { ...given, clock, now };
    try {
      return new SelfSignedCertificate(options, await readOrMake(options));
    } catch (error) {
      if (error instanceof DataFolderError) throw error;
      const reason = `The self-signed certificate ${options.path} cannot be used: ${messageOf(error)}`;
      throw new DataFolderError(reason, error);
    }
  }

  /** `sha256/BASE64` of its key. */
  get pin(): string {
    return this.#pair.pin;
  }

  certificateFor(): TlsCertificate {
    return this.#pair.certificate;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (!this.#isClosed) this.#timer = this.#options.clock.after(DAY_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { path, now } = this.#options;
    try {
      if (isDue(this.#pair, now())) {
        const text = await certificateText(this.#pair.certificate.key, this.#options);
        this.#pair = readCertificatePair(text, text);
        await replacePrivateFile(path, text);
      }
    } catch (error) {
      logger("edge").error("The self-signed certificate {path} could not be renewed in full: {reason}", {
        path,
        reason: messageOf(error),
      });
    }
    this.#lookLater();
  }
}

/**
 * The names of the certificate: of the domain, of this machine, and the addresses at which it can be reached.
 *
 * @param targets where the edge listens
 */
export function selfSignedNames(domain: string, targets: readonly ListenTarget[]): string[] {
  const hosts = targets.flatMap((target) => target.kind === "tcp" ? [target.host] : []);
  const isEverywhere = hosts.some((host) => host === "0.0.0.0" || host === "::");
  const addresses = [...hosts.filter((host) => isIP(host) !== 0), ...(isEverywhere ? ownAddresses() : [])]
    .filter((host) => host !== "0.0.0.0" && host !== "::" && !isLoopback(host));
  const own = domain.toLowerCase();
  const names = [own, `*.${own}`, "localhost", "*.localhost", "127.0.0.1", "::1"];
  return [...new Set([...names, ...addresses.slice(0, MAX_ADDRESSES)])];
}

/** Those of its interfaces; none where the system does not tell, as Deno does without a permission. */
function ownAddresses(): string[] {
  try {
    // An address of a link has a zone, which certificates do not know.
    return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
      .filter((address) => !address.includes("%") && !address.startsWith("fe80:"));
  } catch {
    return [];
  }
}

async function readOrMake(options: Required<SelfSignedOptions>): Promise<CertificatePair> {
  const { path, now } = options;
  const known = await readIfExists(path);
  if (known === null) {
    const text = await certificateText(await newKey(), options);
    if (await createPrivateFile(path, text)) return readCertificatePair(text, text);
    // Another edge has made the file meanwhile.
    return await readOrMake(options);
  }
  const pair = readKnown(path, known);
  if (!isDue(pair, now()) && isFor(known, options.names)) return pair;
  const text = await certificateText(pair.certificate.key, options);
  await replacePrivateFile(path, text);
  return readCertificatePair(text, text);
}

/** @throws {DataFolderError} where what stands there cannot be read */
function readKnown(path: string, text: string): CertificatePair {
  try {
    return readCertificatePair(text, text);
  } catch (error) {
    const remedy = "without that file, another key is made, and agents need another pin";
    throw new DataFolderError(
      `The self-signed certificate ${path} cannot be read: ${messageOf(error)}; ${remedy}`,
      error,
    );
  }
}

/** After two thirds of its time. */
function isDue({ validFrom, validTo }: CertificatePair, now: number): boolean {
  return now > validFrom + (validTo - validFrom) * 2 / 3;
}

/** The first line of the file says what the certificate is for: text around PEM is a comment (RFC 7468 §5.2). */
function isFor(text: string, names: readonly string[]): boolean {
  return text.startsWith(`${namesLine(names)}\n`);
}

function namesLine(names: readonly string[]): string {
  return `For ${names.join(", ")}`;
}

/** A new key in PEM. */
async function newKey(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return pemOf("PRIVATE KEY", der);
}

function pemOf(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** A new certificate for `key`, and both as the text of the file. */
async function certificateText(key: string, { names, now }: Required<SelfSignedOptions>): Promise<string> {
  // Its packages take longer to load than the whole program, and other commands never need them.
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(crypto);
  const notBefore = new Date(now() - BACKDATED_MS);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: "CN=Runnel edge",
    notBefore,
    notAfter: new Date(notBefore.getTime() + LIFETIME_MS),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys: await keysOf(key),
    // Without a key usage: OpenSSL takes no certificate for self-signed whose key may not sign certificates.
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? "dns" as const : "ip" as const, value })),
      ),
    ],
  });
  return `${namesLine(names)}\n${pemOf("CERTIFICATE", new Uint8Array(certificate.rawData))}${key.trimEnd()}\n`;
}

/** 16 random bytes as a positive number (RFC 5280 §4.1.2.2). */
function newSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

/** @param pem a private key in PKCS #8 */
async function keysOf(pem: string): Promise<CryptoKeyPair> {
  const { subtle } = crypto;
  const der = Buffer.from(pem.replace(/-----.*-----/g, ""), "base64");
  const privateKey = await subtle.importKey("pkcs8", der, keyAlgorithm, true, ["sign"]);
  const { kty, crv, x, y } = await subtle.exportKey("jwk", privateKey);
  return { privateKey, publicKey: await subtle.importKey("jwk", { kty, crv, x, y }, keyAlgorithm, true, ["verify"]) };
}
