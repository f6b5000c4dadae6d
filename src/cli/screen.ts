/**
 * A few lines at the end of a terminal's output, which are drawn again in place. The alternate screen is not used and
 * the cursor is not hidden: however the program ends, the terminal needs no repair, and the last lines stay.
 */
import { printable } from "../base/mod.ts";
import type { Line, Style } from "./live_view.ts";

export interface ScreenOptions {
  /** Writes to the terminal. */
  write(text: string): void;
  /** The current width of the terminal, in columns. */
  columns(): number;
  isColored: boolean;
  /** False where the terminal shows ASCII alone. Default true. */
  hasUnicode?: boolean;
}

/** Select Graphic Rendition (ECMA-48 §8.3.117). */
const codes: Readonly<Record<Style, string>> = {
  plain: "",
  strong: "1",
  faint: "2",
  good: "32",
  bad: "31",
  waiting: "33",
};

export class Screen {
  readonly #options: ScreenOptions;
  /** The widths of the lines that are drawn. The cursor is below the last one, in the first column. */
  #drawn: readonly number[] = [];

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** Draws `lines` in place of those that were drawn before. */
  draw(unchecked: readonly Line[]): void {
    // Whoever made the lines, nothing in them moves the cursor.
    const lines = unchecked.map((line) => line.map(({ text, style }) => ({ text: printable(text), style })));
    const text = lines.map((line) => `${this.#paint(line)}\n`).join("");
    this.#options.write(this.#erase() + text);
    this.#drawn = lines.map((line) => line.reduce((width, span) => width + span.text.length, 0));
  }

  /** Erases the lines, so that something else can be printed in their place. */
  clear(): void {
    this.#options.write(this.#erase());
    this.#drawn = [];
  }

  /** The sequence that erases the lines. A terminal breaks them into several rows when its window becomes narrower. */
  #erase(): string {
    const columns = Math.max(1, this.#options.columns());
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return `${rows === 0 ? "" : `\x1b[${rows}A`}\r\x1b[J`;
  }

  #paint(line: Line): string {
    return line.map(({ text, style }) => {
      const code = codes[style];
      const shown = this.#options.hasUnicode === false ? asciiOf(text) : text;
      return this.#options.isColored && code !== "" ? `\x1b[${code}m${shown}\x1b[0m` : shown;
    }).join("");
  }
}

/** As many columns as before: an ellipsis is `~`, any other character beyond ASCII `?`. */
function asciiOf(text: string): string {
  return text.replaceAll("…", "~").replace(/[^ -~]/g, "?");
}
