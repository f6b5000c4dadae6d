/** What SQLite reports, as errors of the store. */
import { messageOf } from "../../base/mod.ts";
import { StoreError } from "../store.ts";

/** Result codes (https://sqlite.org/rescode.html). The low byte is the primary one. */
const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
const CONSTRAINT_FOREIGN_KEY = 787;

/** The result code of an error that SQLite reported; 0 for any other. On Deno `exec` gives none. */
function resultCode(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code : 0;
}

/** True where another program holds the file. */
export function isBusy(error: unknown): boolean {
  const primary = resultCode(error) & 0xff;
  return primary === BUSY || primary === LOCKED;
}

/** @param action the beginning of the sentence, such as `Cannot write to the store` */
export function storeError(action: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = resultCode(error);
  if (code === CONSTRAINT_FOREIGN_KEY) {
    const reason = `${action}: a record would name one that does not exist`;
    return new StoreError({ code: "reference", reason, cause: error });
  }
  const reason = `${action}: ${messageOf(error)}`;
  if ((code & 0xff) === CORRUPT || (code & 0xff) === NOT_A_DATABASE) {
    return new StoreError({ code: "damaged_store", reason, cause: error });
  }
  return new StoreError({ code: "unavailable", reason, retryable: true, cause: error });
}
