/** The edge's data folder. It is made with the first file in it, and only its owner can read the files. */
import { randomBytes } from "node:crypto";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { createPrivateFile, readIfExists } from "./private_file.ts";
import { tokenFault } from "./token_options.ts";

/** The data folder cannot be used. Code `data_folder`. */
export class DataFolderError extends RunnelError {
  static {
    nameErrorClass(this, "DataFolderError");
  }

  constructor(reason: string, cause?: unknown) {
    super({ code: "data_folder", reason, initiator: "user", cause });
  }
}

export class DataFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The file of the edge's own token. It exists once `ownToken()` has resolved. */
  get tokenPath(): string {
    return join(this.path, "token");
  }

  /** The file of the admin API's token. It exists once `adminToken()` has resolved. */
  get adminTokenPath(): string {
    return join(this.path, "admin-token");
  }

  /** The file of what operators declare. */
  get storePath(): string {
    return join(this.path, "runnel.db");
  }

  /** The file of the edge that serves from this folder. */
  get servingPath(): string {
    return join(this.path, "serving.json");
  }

  /** The file of the tunnels that are open. */
  get knownTunnelsPath(): string {
    return join(this.path, "known-tunnels.json");
  }

  /** The folder of certificates from CAs; each CA has one of its own in it. */
  get acmePath(): string {
    return join(this.path, "acme");
  }

  /** True where there is a store, whether it can be used or not. */
  hasStore(): Promise<boolean> {
    return access(this.storePath).then(() => true, () => false);
  }

  /**
   * The edge's own token: 256 random bits in base64url. It is made at the first call, and read from the file later.
   *
   * @throws {DataFolderError} where folder or file cannot be made or read, or the file does not hold a token
   */
  ownToken(): Promise<string> {
    return this.#tokenIn(this.tokenPath);
  }

  /** The same for the token of the admin API. @throws {DataFolderError} */
  adminToken(): Promise<string> {
    return this.#tokenIn(this.adminTokenPath);
  }

  async #tokenIn(path: string): Promise<string> {
    try {
      const known = await readToken(path);
      if (known !== null) return known;
      const made = randomBytes(32).toString("base64url");
      if (await createPrivateFile(path, `${made}\n`)) return made;
      // Another edge has made the file meanwhile.
      return await readToken(path) ?? made;
    } catch (error) {
      if (error instanceof RunnelError) throw error;
      throw new DataFolderError(`The data folder ${this.path} cannot be used: ${(error as Error).message}`, error);
    }
  }
}

/** Null where there is no file. */
async function readToken(path: string): Promise<string | null> {
  const text = (await readIfExists(path))?.trim() ?? null;
  const fault = text === null ? null : tokenFault(text);
  if (fault !== null) throw new DataFolderError(`The token in ${path} ${fault}`);
  return text;
}
