/** The token of a command: given as it is, or in a file, so that it shows in no process list. */
import { createReadStream } from "node:fs";
import { maxTokenLength, tokenFault, UsageError } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

export interface GivenToken {
  readonly token: string | undefined;
  /** A path, or `-` for standard input. White space around the token is dropped. */
  readonly tokenFile: string | undefined;
}

/**
 * @returns null where none was given
 * @throws {UsageError} where what was given is no token; it never holds the text
 */
export async function readToken({ token, tokenFile }: GivenToken, host: ProgramHost): Promise<string | null> {
  if (token !== undefined) return token;
  if (tokenFile === undefined) return null;
  const isInput = tokenFile === "-";
  const text = (await (isInput ? readStart(host.stdin()) : readTokenFile(tokenFile))).trim();
  const fault = tokenFault(text);
  if (fault !== null) throw new UsageError(`The token in ${isInput ? "standard input" : tokenFile} ${fault}`);
  return text;
}

async function readTokenFile(path: string): Promise<string> {
  try {
    return await readStart(createReadStream(path, "utf8"));
  } catch (error) {
    throw new UsageError(`The token cannot be read from --token-file ${path}: ${(error as Error).message}`);
  }
}

/** No more than can still be a token with white space around it: a file may be without end. */
async function readStart(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) {
    text += piece;
    if (text.length > 2 * maxTokenLength) break;
  }
  return text;
}
