/** A line of a head as logs and events show it. */
import { latin1, showText } from "../base/mod.ts";

/** Their values say how an answer is framed, by which server and when. */
const harmless = new Set(["connection", "content-length", "content-type", "date", "server", "transfer-encoding"]);
/** A field's name up to its colon, and what is visible of the value. */
const fieldLine = /^([\w!#$%&'*+.^`|~-]+[ \t]*:)([ -~]*)/;
/** As much of a status line as is the same for everybody. */
const statusBegin = /^HTTP\/\d\.\d(?: \d{3}(?!\d))?/;
/** Enough to tell protocols and pages from each other. */
const MAX_SHOWN_CHARS = 4;

/**
 * The line, quoted and shortened. What may be secret is left out: of a field stands the name, and the value only where it
 * is harmless; of a status line version and status; of any other line the first four characters. Nothing is shown of a
 * line that begins with white space, which may go on with a value.
 */
export function showLine(bytes: Uint8Array): string {
  const line = latin1(bytes, 0, bytes.length);
  const begin = shownBegin(line);
  return showText(begin.length > 64 || begin.length === line.length ? begin : `${begin}…`);
}

/** The part of the line that is no secret. */
function shownBegin(line: string): string {
  if (/^[ \t]/.test(line)) return " ";
  const field = fieldLine.exec(line);
  if (field !== null) {
    const [whole, name] = field;
    return harmless.has(name.slice(0, -1).trimEnd().toLowerCase()) ? whole : `${name} `;
  }
  return statusBegin.exec(line)?.[0] ?? line.slice(0, MAX_SHOWN_CHARS);
}
