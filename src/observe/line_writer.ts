/**
 * Writes lines to a place that may be slow or broken, and never lets those who log wait: up to a limit the lines wait in
 * memory, beyond it they are lost, and the owner is told so.
 */
import { type Clock, messageOf, systemClock, type Timer } from "../base/mod.ts";

/** Where lines go. */
export interface LineSink {
  /** Stands for it in messages. */
  readonly name: string;
  /** Resolves to how many characters were written, from the first on. Rejects where none can be. */
  write(text: string): Promise<number>;
  /** Makes the next write begin anew, as with a file that was renamed. */
  reopen(): void;
  close(): Promise<void>;
}

export interface LineWriterOptions {
  /** Bytes that may wait. Default 4 MiB. */
  maxWaitingBytes?: number;
  /** Told in a sentence when lines are lost or cannot be written; once, until that is over. */
  onProblem(problem: string): void;
  clock?: Clock;
}

export const DEFAULT_MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Between attempts to write where one has failed. */
const RETRY_MS = 1_000;

export class LineWriter {
  readonly #sink: LineSink;
  readonly #maxWaitingBytes: number;
  readonly #onProblem: (problem: string) => void;
  readonly #clock: Clock;
  #lines: string[] = [];
  /** Of the lines, and of what is being written. */
  #waitingBytes = 0;
  #lostLines = 0;
  #hasFailed = false;
  #isReopened = false;
  #isClosing = false;
  /** While there is something to write. */
  #run: Promise<void> | null = null;
  /** Ends the pause before the next attempt. */
  #endPause: (() => void) | null = null;

  constructor(sink: LineSink, options: LineWriterOptions) {
    this.#sink = sink;
    this.#maxWaitingBytes = options.maxWaitingBytes ?? DEFAULT_MAX_WAITING_BYTES;
    this.#onProblem = options.onProblem;
    this.#clock = options.clock ?? systemClock;
  }

  /** @param line visible ASCII, blanks and a line feed at its end */
  add(line: string): void {
    if (this.#waitingBytes + line.length > this.#maxWaitingBytes) return this.#lose();
    this.#lines.push(line);
    this.#waitingBytes += line.length;
    this.#start();
  }

  /** Begins the file anew, as a rotation of logs needs it. */
  reopen(): void {
    this.#isReopened = true;
    this.#sink.reopen();
    this.#endPause?.();
    this.#start();
  }

  /** Writes what waits, for at most `timeoutMs`, and closes the sink. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosing = true;
    this.#endPause?.();
    let timer: Timer | null = null;
    const late = new Promise<void>((resolve) => timer = this.#clock.after(timeoutMs, resolve));
    await Promise.race([(this.#run ?? Promise.resolve()).then(() => this.#sink.close()), late]);
    (timer as Timer | null)?.cancel();
  }

  #lose(): void {
    if (++this.#lostLines === 1) {
      this.#onProblem(`Lines for ${this.#sink.name} are lost: more than ${this.#maxWaitingBytes} bytes wait already`);
    }
  }

  #start(): void {
    this.#run ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // The lines of one tick are written together.
    await Promise.resolve();
    while (this.#lines.length > 0 || this.#isReopened) {
      const text = this.#lines.join("");
      this.#lines = [];
      this.#isReopened = false;
      await this.#write(text);
      this.#waitingBytes -= text.length;
      if (this.#lines.length === 0) this.#tellLost();
    }
    this.#run = null;
  }

  /** Tries again until everything is written. */
  async #write(text: string): Promise<void> {
    let written = 0;
    do {
      try {
        const taken = await this.#sink.write(text.slice(written));
        if (taken === 0 && text !== "") throw new Error("it took nothing");
        written += taken;
        this.#hasFailed = false;
      } catch (error) {
        if (!this.#hasFailed) this.#onProblem(`Cannot write to ${this.#sink.name}: ${messageOf(error)}`);
        this.#hasFailed = true;
        if (this.#isClosing) return;
        this.#sink.reopen();
        await this.#pause();
      }
    } while (written < text.length);
  }

  #tellLost(): void {
    if (this.#lostLines > 0) this.#onProblem(`${this.#lostLines} lines for ${this.#sink.name} were lost`);
    this.#lostLines = 0;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(RETRY_MS, () => this.#endPause?.());
      this.#endPause = () => {
        timer.cancel();
        this.#endPause = null;
        resolve();
      };
    });
  }
}
