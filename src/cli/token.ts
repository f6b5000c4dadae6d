/** The token of a command: its text, or a file that holds it, which does not show in process lists. */
import { createReadStream } from "node:fs";
import { MAX_TOKEN_CHARACTERS, tokenFault, UsageError } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";

export interface GivenToken {
  readonly token: string | undefined;
  /** A path, or `-` for standard input: a terminal is asked. White space around the token is ignored. */
  readonly tokenFile: string | undefined;
}

/**
 * @returns null where none is given
 * @throws {UsageError} where the file cannot be read or does not hold a token. It never shows the text.
 */
export async function readToken({ token, tokenFile }: GivenToken, host: ProgramHost): Promise<string | null> {
  if (token !== undefined) return token;
  if (tokenFile === undefined) return null;
  if (tokenFile !== "-") return checked(await readTokenFile(tokenFile), tokenFile);
  return await askForToken(host) ?? checked(await readStart(host.stdin()), "standard input");
}

/** True where the token stands in a file, so that another one may stand there later. */
export function isReadAgain<T extends GivenToken>(given: T): given is T & { readonly tokenFile: string } {
  return given.token === undefined && given.tokenFile !== undefined && given.tokenFile !== "-";
}

/** The token that a file holds now; null where that cannot be read or holds none, such as while it is being written. */
export async function tokenIn(path: string): Promise<string | null> {
  try {
    return checked(await readTokenFile(path), path);
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

/**
 * Asks for the token on the terminal, which does not show it.
 *
 * @returns null where standard input is no terminal
 * @throws {UsageError} where what is typed is no token
 */
export async function askForToken(host: ProgramHost): Promise<string | null> {
  const text = await host.askHidden("Token (not shown): ");
  return text === null ? null : checked(text, "standard input");
}

function checked(text: string, source: string): string {
  const token = text.trim();
  const fault = tokenFault(token);
  if (fault !== null) throw new UsageError(`The token in ${source} ${fault}`);
  return token;
}

async function readTokenFile(path: string): Promise<string> {
  try {
    return await readStart(createReadStream(path, "utf8"));
  } catch (error) {
    throw new UsageError(`The token cannot be read from --token-file ${path}: ${(error as Error).message}`);
  }
}

/** The start of a text, which may be endless: enough for the longest token and white space around it. */
async function readStart(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) {
    text += piece;
    if (text.length > 2 * MAX_TOKEN_CHARACTERS) break;
  }
  return text;
}
