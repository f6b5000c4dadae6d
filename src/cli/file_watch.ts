/** Looks whether files have changed. Not all systems tell of it, and some tell of a file that is half written. */
import { stat } from "node:fs/promises";
import { type Clock, systemClock, type Timer } from "../base/mod.ts";

/** How often it is looked. A change counts once all files have stayed the same for as long. */
const LOOK_MS = 1_000;

export class FileWatch {
  /** Called for each change that comes after `start()`. Set once the files have been read. */
  onChange: () => void = () => {};
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  #timer: Timer | null = null;
  #isStopped = false;
  /** What the files were when they were read last, and when they were looked at last; null while one was missing. */
  #known: string | null = null;
  #seen: string | null = null;

  /** @param paths one file, or several that belong together */
  constructor(paths: string | readonly string[], clock: Clock = systemClock) {
    this.#paths = typeof paths === "string" ? [paths] : paths;
    this.#clock = clock;
  }

  /** To be called before the files are read for the first time: what comes after that is a change. */
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
      const found = await Promise.all(this.#paths.map((path) => stat(path)));
      return found.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join("\n");
    } catch {
      return null;
    }
  }
}
