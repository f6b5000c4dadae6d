/** Reads NDJSON: one JSON text a line, which ends with LF or CR LF. Empty lines are passed over. */
import { messageOf } from "../base/mod.ts";
import { LineSplitter } from "./line_splitter.ts";
import { MessageFormatError } from "./errors.ts";

export interface NdjsonParserOptions {
  /** Of one line. Default 1 MiB. */
  maxLineBytes?: number;
}

const DEFAULT_MAX_LINE_BYTES = 1024 ** 2;
/** Characters of a line that an error shows. */
const SHOWN_CHARACTERS = 40;

const decoder = new TextDecoder();

/** A last line without its end is never told: a number that was cut off is a number, too. */
export class NdjsonParser {
  readonly #lines: LineSplitter;

  constructor(onValue: (value: unknown) => void, options: NdjsonParserOptions = {}) {
    const maxBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
    this.#lines = new LineSplitter(
      (line) => {
        // JSON takes the CR of a CR LF for white space.
        const text = decoder.decode(line).trim();
        if (text !== "") onValue(parsed(text));
      },
      maxBytes,
      "lf",
    );
  }

  /**
   * Tells the values that are whole now. The bytes are not kept. After it has thrown, the stream cannot be read on.
   *
   * @throws {MessageFormatError} `line_too_long` or `bad_json`
   */
  push(bytes: Uint8Array): void {
    this.#lines.push(bytes);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const shown = JSON.stringify(text.slice(0, SHOWN_CHARACTERS));
    throw new MessageFormatError("bad_json", `The line ${shown} is no JSON: ${messageOf(error)}`, error);
  }
}
