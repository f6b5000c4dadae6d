/** Reads TypeScript as far as rules about its text need it: what is code, what is a comment, what is a string. */

const tokens = new RegExp(
  [
    String.raw`(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)`,
    String.raw`(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')`,
    // Templates and regular expressions are told apart only so that a quote or `//` inside them starts nothing.
    "`(?:\\\\[\\s\\S]|[^`\\\\])*`",
    String.raw`(?<=(?:^|[(,=:[!&|?{};]|=>|return)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*`,
  ].join("|"),
  "gm",
);

function without(text: string, kinds: readonly string[]): string {
  return text.replace(tokens, (whole, ...rest) => {
    const groups: Record<string, string | undefined> = rest.at(-1);
    return kinds.some((kind) => groups[kind] !== undefined) ? " " : whole;
  });
}

/** The text without comments and without what stands in quotes; templates stay, since they hold code. */
export function codeOf(text: string): string {
  return without(text, ["comment", "string"]);
}

/** The specifiers of every import and export, static, dynamic or of a type, in order. */
export function importsOf(text: string): string[] {
  const statements = /\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g;
  return [...without(text, ["comment"]).matchAll(statements)].map((match) => match[1]);
}
