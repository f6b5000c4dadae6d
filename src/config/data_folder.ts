/** The edge's data folder. It is made with the first file in it, and only its owner can read the files. */
import { randomBytes } from "node:crypto";
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

  /**
   * The edge's own token: 256 random bits in base64url. It is made at the first call, and read from the file later.
   *
   * @throws {DataFolderError} where folder or file cannot be made or read, or the file does not hold a token
   */
  async ownToken(): Promise<string> {
    try {
      const known = await this.#readToken();
      if (known !== null) return known;
      const made = randomBytes(32).toString("base64url");
      if (await createPrivateFile(this.tokenPath, `${made}\n`)) return made;
      // Another edge has made the file meanwhile.
      return await this.#readToken() ?? made;
    } catch (error) {
      if (error instanceof RunnelError) throw error;
      throw new DataFolderError(`The data folder ${this.path} cannot be used: ${(error as Error).message}`, error);
    }
  }

  /** Null where there is no file. */
  async #readToken(): Promise<string | null> {
    const text = (await readIfExists(this.tokenPath))?.trim() ?? null;
    const fault = text === null ? null : tokenFault(text);
    if (fault !== null) throw new DataFolderError(`The token in ${this.tokenPath} ${fault}`);
    return text;
  }
}
