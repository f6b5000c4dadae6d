/**
 * Text from outside (a path, a close reason, an edge's message) in a log of lines or on a terminal. It must not end a line,
 * move the cursor, change colors or the direction of reading, or be invisible.
 */

/** All that shows as nothing, or does more than to show: Cc, Cf, Zl, Zp and single surrogates (Unicode §4.5). */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const OTHER_THAN_ASCII = /[^ -~]/;

/** Unsafe characters, also line feeds, as `\xNN`, `\uNNNN` or `\u{NNNNN}`. The rest stays as it is. */
export function printable(text: string): string {
  if (!OTHER_THAN_ASCII.test(text)) return text;
  return text.replace(UNSAFE, (char) => {
    const code = (char.codePointAt(0) as number).toString(16);
    if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\u{${code}}`;
  });
}

/** A text of several lines, each printable. Those behind the first are indented, so that none looks like another text. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n    ");
}

/** JSON on one line, without a line feed at its end: unsafe characters as `\uNNNN`, so that its value stays the same. */
export function printableJson(json: string): string {
  if (!OTHER_THAN_ASCII.test(json)) return json;
  return json.replace(UNSAFE, (char) => {
    return Array.from(
      { length: char.length },
      (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join("");
  });
}
