/** Looks whether a file has changed. Not all systems tell of it, and some tell of a file that is half written. */
import { stat } from "node:fs/promises";
import { type Clock, systemClock, type Timer } from "../../base/mod.ts";

/** How often it is looked. A change counts once the file has stayed the same for as long. */
const LOOK_MS = 1_000;

export class FileWatch {
  /** Called for each change that comes after `start()`. Set once the file has been read. */
  onChange: () => void = () => {};
  readonly #path: string;
  readonly #clock: Clock;
  #timer: Timer | null = null;
  #isStopped = false;
  /** What the file was when it was read last, and when it was looked at last; null while there was none. */
  #known: string | null = null;
  #seen: string | null = null;

  constructor(path: string, clock: Clock = systemClock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** To be called before the file is read for the first time: what comes after that is a change. */
  async start(): Promise<void> {
    this.#known = this.#seen = await this.#look();
    this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = this.#clock.after(LOOK_MS, () => void this.#compare().finally(() => this.#lookLater()));
  }

  async #compare(): Promise<void> {
    const now = await this.#look();
    const isSettled = now === this.#seen;
    this.#seen = now;
    // A file that is away is about to be replaced.
    if (this.#isStopped || !isSettled || now === null || now === this.#known) return;
    this.#known = now;
    this.onChange();
  }

  async #look(): Promise<string | null> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return null;
    }
  }
}
