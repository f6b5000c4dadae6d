/** The edge's data folder: made when the first thing is kept in it, every file readable by its owner alone. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, RunnelError } from "../base/mod.ts";
import { createPrivateFile } from "./private_file.ts";
import { tokenFault } from "./token_options.ts";

export class DataFolderError extends RunnelError {
  constructor(reason: string, cause?: unknown) {
    super({ code: "data_folder", reason, initiator: "user", cause });
  }
}

export class DataFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Where the edge's own token is, once `ownToken()` was called. */
  get tokenPath(): string {
    return join(this.path, "token");
  }

  /**
   * The token that the edge made for itself: 256 random bits in base64url, made at the first call.
   *
   * @throws {DataFolderError} where the folder or the file cannot be made or read, or holds something else
   */
  async ownToken(): Promise<string> {
    try {
      const known = await this.#readToken();
      if (known !== null) return known;
      const made = randomBytes(32).toString("base64url");
      if (await createPrivateFile(this.tokenPath, `${made}\n`)) return made;
      return await this.#readToken() ?? made;
    } catch (error) {
      if (error instanceof RunnelError) throw error;
      throw new DataFolderError(`The data folder ${this.path} cannot be used: ${(error as Error).message}`, error);
    }
  }

  async #readToken(): Promise<string | null> {
    let text: string;
    try {
      text = await readFile(this.tokenPath, "utf8");
    } catch (error) {
      if (isSystemError(error, "ENOENT")) return null;
      throw error;
    }
    const fault = tokenFault(text.trim());
    if (fault !== null) throw new DataFolderError(`The token in ${this.tokenPath} ${fault}`);
    return text.trim();
  }
}
