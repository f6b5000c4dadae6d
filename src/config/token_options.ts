/** The two options for a token: `--token-file`, and `--token`, which shows in process lists. */
import { textOption } from "./option.ts";

/** @param help what the token does, for `--help` */
export function tokenOptions(help: string) {
  return {
    token: textOption({ name: "token", hint: "TOKEN", help, isSecret: true }, tokenFault),
    tokenFile: textOption({
      name: "token-file",
      hint: "FILE|-",
      help: "reads the token from a file, or from standard input",
      completion: "file",
      insteadOf: "token",
    }),
  };
}

export const MAX_TOKEN_CHARACTERS = 4096;

/**
 * What is wrong with a token, as the end of a sentence; null where nothing is. A token is sent in a header field and
 * stored in a line of a file, so it is visible ASCII.
 */
export function tokenFault(text: string): string | null {
  if (text === "") return "is empty";
  if (text.length > MAX_TOKEN_CHARACTERS) return `has more than ${MAX_TOKEN_CHARACTERS} characters`;
  return /^[\x21-\x7e]+$/.test(text) ? null : "has other characters than visible ASCII";
}
