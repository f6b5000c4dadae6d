/** A line of a head as logs and events show it. */
import { latin1, showText } from "../base/mod.ts";

const secretName = /cookie|auth|token|secret|key|session|passw|credential|signature|csrf|xsrf|nonce/i;

/**
 * The line, quoted, escaped and shortened. Left out is what may be secret: queries, the values of fields with such names,
 * and a line that goes on from the one before, which may be one of these.
 */
export function showLine(bytes: Uint8Array): string {
  const line = latin1(bytes, 0, bytes.length);
  if (/^[ \t]/.test(line)) return `" …"`;
  const colon = line.indexOf(":");
  if (colon >= 0 && secretName.test(line.slice(0, colon))) return showText(`${line.slice(0, colon)}: …`);
  return showText(line.replaceAll(/\?[^ \t]*/g, "?…"));
}
