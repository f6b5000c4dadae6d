/**
 * A picture of a few lines at the bottom of what the terminal has shown, drawn again in place. It uses neither the
 * alternate screen nor a hidden cursor: whatever ends the program, the terminal is as it was, with the last picture.
 */
import type { Line, Style } from "./live_view.ts";

export interface ScreenOptions {
  /** Writes to the terminal. */
  write(text: string): void;
  /** The terminal's width now, in columns. */
  columns(): number;
  colour: boolean;
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
  /** Widths of the lines that stand there; the cursor is below the last of them, in the first column. */
  #drawn: readonly number[] = [];

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  draw(lines: readonly Line[]): void {
    const text = lines.map((line) => `${this.#paint(line)}\n`).join("");
    this.#options.write(this.#erase() + text);
    this.#drawn = lines.map((line) => line.reduce((width, span) => width + span.text.length, 0));
  }

  /** Takes the picture away, so that something else can be printed in its place. */
  clear(): void {
    this.#options.write(this.#erase());
    this.#drawn = [];
  }

  /** In a window that has become narrower, the terminal itself has broken each line into several rows. */
  #erase(): string {
    const columns = Math.max(1, this.#options.columns());
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return `${rows === 0 ? "" : `\x1b[${rows}A`}\r\x1b[J`;
  }

  #paint(line: Line): string {
    return line.map(({ text, style }) => {
      const code = codes[style];
      return this.#options.colour && code !== "" ? `\x1b[${code}m${text}\x1b[0m` : text;
    }).join("");
  }
}
