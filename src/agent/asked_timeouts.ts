/** The timeouts that an agent asks for its tunnel, and what it says of those that it gets. */
import { formatTimeout, parseTimeout } from "../config/mod.ts";
import type { AskedTimeouts } from "../session/mod.ts";

/** @param firstByteMs as `EdgeDialOptions.firstByteMs` */
export function askedTimeouts(firstByteMs: number | undefined): AskedTimeouts | undefined {
  return firstByteMs === undefined ? undefined : { firstByte: formatTimeout(firstByteMs) };
}

/** One sentence for each timeout that was asked for and is not had. @param told undefined: the edge knows none */
export function timeoutWarnings(firstByteMs: number | undefined, told: AskedTimeouts | undefined): string[] {
  if (firstByteMs === undefined) return [];
  const granted = told?.firstByte === undefined ? null : parseTimeout(told.firstByte);
  if (granted === null) {
    return [
      "The edge does not know --first-byte-timeout, since it is older than this agent: " +
      "it waits for an answer as long as its own setting says",
    ];
  }
  if (granted >= firstByteMs) return [];
  const [asked, had] = [formatTimeout(firstByteMs), formatTimeout(granted)];
  return [`The edge waits ${had} for an answer, its --max-first-byte-timeout, not --first-byte-timeout ${asked}`];
}
