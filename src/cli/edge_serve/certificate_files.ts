/** Certificates in files, with their keys: by the names in them, read again when they change. */
import { readFile } from "node:fs/promises";
import { type Clock, messageOf, systemClock } from "../../base/mod.ts";
import { UsageError, wildcardOf } from "../../config/mod.ts";
import {
  type CertificatePair,
  type CertificateSource,
  type ClientHello,
  datesFault,
  readCertificatePair,
  type TlsCertificate,
} from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";
import { FileWatch } from "../file_watch.ts";

/** The paths of one pair. */
export interface PairPaths {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificates of `--tls-cert` and `--tls-key`. Of two for a name the first counts, and an exact name before a
 * wildcard. A changed pair takes the place of the one before only where key and dates are in order.
 */
export class CertificateFiles implements CertificateSource {
  readonly #files: readonly PairFile[];
  #byName: ReadonlyMap<string, TlsCertificate> = new Map();

  private constructor(files: readonly PairFile[]) {
    this.#files = files;
    this.#index();
    for (const file of files) file.onChange = () => this.#index();
  }

  /**
   * Reads all pairs, and watches them until `close()`.
   *
   * @throws {UsageError} where one cannot be read, or key and certificate do not fit. One that has expired is served, and
   *   logged: whoever comes back after a power cut has no other.
   */
  static async open(pairs: readonly PairPaths[], clock: Clock = systemClock): Promise<CertificateFiles> {
    const files: PairFile[] = [];
    try {
      for (const paths of pairs) files.push(await PairFile.open(paths, clock));
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
    return new CertificateFiles(files);
  }

  /** Null for a name that none of them is for, and where there is no name. */
  certificateFor({ serverName }: ClientHello): TlsCertificate | null {
    if (serverName === null) return null;
    return this.#byName.get(serverName) ?? this.#byName.get(wildcardOf(serverName) ?? "") ?? null;
  }

  /** The one that was named first. */
  get first(): TlsCertificate {
    return this.#files[0]!.pair.certificate;
  }

  /** Reads all files again now. Resolves when that is done. */
  async reload(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.reload()));
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  #index(): void {
    const byName = new Map<string, TlsCertificate>();
    for (const { pair: { names, certificate } } of this.#files) {
      for (const name of names) if (!byName.has(name)) byName.set(name, certificate);
    }
    this.#byName = byName;
  }
}

class PairFile {
  readonly #paths: PairPaths;
  readonly #watch: FileWatch;
  readonly #log = logger("edge");
  pair: CertificatePair;
  /** Called when another pair has been read. */
  onChange: () => void = () => {};

  private constructor(paths: PairPaths, watch: FileWatch, pair: CertificatePair) {
    this.#paths = paths;
    this.#watch = watch;
    this.pair = pair;
    watch.onChange = () => void this.reload();
  }

  /** @throws {UsageError} */
  static async open(paths: PairPaths, clock: Clock): Promise<PairFile> {
    const watch = new FileWatch([paths.cert, paths.key], clock);
    // What changes while they are read is noticed.
    await watch.start();
    try {
      const pair = await readPair(paths);
      const fault = datesFault(pair, Date.now());
      if (fault !== null) {
        logger("edge").error(`The certificate {cert} ${fault}: visitors will not trust it`, { ...paths });
      }
      return new PairFile(paths, watch, pair);
    } catch (error) {
      watch.stop();
      const reason = `--tls-cert ${paths.cert} with --tls-key ${paths.key} cannot be used: ${messageOf(error)}`;
      throw new UsageError(reason, "Name a certificate with its chain, and the key that it was made for, both in PEM");
    }
  }

  async reload(): Promise<void> {
    const paths = this.#paths;
    try {
      const pair = await readPair(paths);
      if (pair.certificate.id === this.pair.certificate.id) return;
      const fault = datesFault(pair, Date.now());
      if (fault !== null) throw new Error(`it ${fault}`);
      this.pair = pair;
      this.onChange();
      const until = new Date(pair.validTo).toISOString();
      this.#log.info("The certificate {cert} was read again, and is served from now on: it is valid until {until}", {
        cert: paths.cert,
        until,
      });
    } catch (error) {
      this.#log.error(
        "The certificate {cert} with the key {key} is not taken, and the one from before goes on: {reason}",
        { ...paths, reason: messageOf(error) },
      );
    }
  }

  close(): void {
    this.#watch.stop();
  }
}

/** Rejects with what is wrong with the files. */
async function readPair({ cert, key }: PairPaths): Promise<CertificatePair> {
  const [chain, keyText] = await Promise.all([readFile(cert, "utf8"), readFile(key, "utf8")]);
  return readCertificatePair(chain, keyText);
}
