/** A file to which lines are appended. */
import { type FileHandle, open } from "node:fs/promises";
import type { LineSink } from "./line_writer.ts";

/** Readable by the owner and the group, who may be given a log to read. */
const MODE = 0o640;

export class LogFile implements LineSink {
  readonly name: string;
  #handle: FileHandle | null;
  #isStale = false;

  private constructor(path: string, handle: FileHandle) {
    this.name = path;
    this.#handle = handle;
  }

  /** Makes the file where it is missing. Rejects with the system's error where it cannot be opened. */
  static async open(path: string): Promise<LogFile> {
    return new LogFile(path, await open(path, "a", MODE));
  }

  reopen(): void {
    this.#isStale = true;
  }

  async write(text: string): Promise<number> {
    if (this.#isStale || this.#handle === null) await this.#openAgain();
    if (text === "") return 0;
    const { bytesWritten } = await this.#handle!.write(new TextEncoder().encode(text));
    return bytesWritten;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  async #openAgain(): Promise<void> {
    const opened = await open(this.name, "a", MODE);
    this.#isStale = false;
    const previous = this.#handle;
    this.#handle = opened;
    // What it still held is in the file already: nothing is lost where closing fails.
    await previous?.close().catch(() => {});
  }
}
