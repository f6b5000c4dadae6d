/** Where certificates are kept over restarts: a file for each, which only its owner can read. */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, messageOf } from "../base/mod.ts";
import { replacePrivateFile } from "../config/mod.ts";
import { fileTextOf, type KeptCertificate, parseFileText } from "./kept_certificate.ts";

const SUFFIX = ".pem";
/** Stands for the `*` of a wildcard, which no file of Windows may have. No hostname has it. */
const WILDCARD_SIGN = "+";

/** Of a certificate's name: a file can have no longer one. */
export const MAX_NAME_CHARACTERS = 200;

export class CertificateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Those that can be read. @param onFault told of each other file, and of a folder that cannot be read */
  async load(onFault: (path: string, reason: string) => void): Promise<KeptCertificate[]> {
    const kept: KeptCertificate[] = [];
    for (const file of await this.#files(onFault)) {
      const path = join(this.path, file);
      try {
        const name = file.slice(0, -SUFFIX.length).replace(WILDCARD_SIGN, "*");
        kept.push(parseFileText(name, await readFile(path, "utf8")));
      } catch (error) {
        onFault(path, messageOf(error));
      }
    }
    return kept;
  }

  /** Writes or replaces the file, mode 0600. Rejects as the system does. */
  save(certificate: KeptCertificate): Promise<void> {
    return replacePrivateFile(this.pathOf(certificate.name), fileTextOf(certificate));
  }

  remove(name: string): Promise<void> {
    return rm(this.pathOf(name), { force: true });
  }

  pathOf(name: string): string {
    return join(this.path, name.replace("*", WILDCARD_SIGN) + SUFFIX);
  }

  async #files(onFault: (path: string, reason: string) => void): Promise<string[]> {
    try {
      return (await readdir(this.path)).filter((file) => file.endsWith(SUFFIX)).sort();
    } catch (error) {
      if (!isSystemError(error, "ENOENT")) onFault(this.path, messageOf(error));
      return [];
    }
  }
}
