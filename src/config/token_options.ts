/** The pair that stands wherever a token is taken: a file, or the text itself, which shows in process lists. */
import { textOption } from "./option.ts";

/** @param help what the token does, for `--help` */
export function tokenOptions(help: string) {
  return {
    token: textOption({ name: "token", hint: "TOKEN", help, secret: true }, tokenFault),
    tokenFile: textOption({
      name: "token-file",
      hint: "FILE|-",
      help: "reads the token from a file, or from standard input",
      completion: "file",
      insteadOf: "token",
    }),
  };
}

/** The longest token, in characters. */
export const maxTokenLength = 4096;

/** A token travels in a header field and in a file: visible ASCII. The end of a sentence; null for a good one. */
export function tokenFault(text: string): string | null {
  if (text === "") return "is empty";
  if (text.length > maxTokenLength) return `has more than ${maxTokenLength} characters`;
  return /^[\x21-\x7e]+$/.test(text) ? null : "has other characters than visible ASCII";
}
