/** Serves the tunnels of a file, and those that stand there later. */
import { type TunnelKeeper } from "../../agent/mod.ts";
import { Backoff, type Clock, messageOf, RunnelError, systemClock, type Timer } from "../../base/mod.ts";
import { UsageError } from "../../config/mod.ts";
import type { AgentFile } from "./config_file.ts";

export interface FileAgentOptions {
  readonly keeper: TunnelKeeper;
  /** What the program has started with. */
  readonly first: AgentFile;
  /** Reads the file. Rejects with `UsageError`. */
  read(): Promise<AgentFile>;
  /** The file was read for the `version`th time, and what stands there is served, or why not (`error`). */
  onConfig(version: number, error: string | null): void;
  readonly clock?: Clock;
}

export class FileAgent {
  readonly #options: FileAgentOptions;
  readonly #clock: Clock;
  readonly #backoff = new Backoff();
  #version = 0;
  #applying: AbortController | null = null;
  #retry: Timer | null = null;
  #told = "";
  #isOver = false;

  constructor(options: FileAgentOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Resolves after `drain()` or `close()`.
   *
   * @throws {UsageError} where the tunnels that the program has started with cannot be served
   */
  async run(): Promise<void> {
    const { keeper, first } = this.#options;
    try {
      keeper.start(first.tunnels);
    } catch (error) {
      throw first.located(error);
    }
    this.#apply(first, ++this.#version);
    await keeper.run();
    this.#end();
  }

  /** Reads the file again. What is wrong with it is told, and the tunnels before go on. The reading begun last counts. */
  async reload(): Promise<void> {
    const version = ++this.#version;
    try {
      const file = await this.#options.read();
      if (version !== this.#version) return;
      const { edge, tokenFile } = this.#options.first;
      if (file.edge !== edge || file.tokenFile !== tokenFile) {
        throw new UsageError("edge and tokenFile cannot change while the agent runs: restart it");
      }
      this.#apply(file, version);
    } catch (error) {
      if (!(error instanceof RunnelError)) throw error;
      if (version === this.#version) this.#options.onConfig(version, error.reason);
    }
  }

  async drain(): Promise<void> {
    this.#end();
    await this.#options.keeper.drain();
  }

  close(): void {
    this.#end();
    this.#options.keeper.close();
  }

  #end(): void {
    this.#isOver = true;
    this.#applying?.abort();
    this.#retry?.cancel();
  }

  /** The latest file that was read counts. What the edge refuses is tried again. */
  #apply(file: AgentFile, version: number): void {
    this.#applying?.abort();
    this.#retry?.cancel();
    if (this.#isOver) return;
    const applying = this.#applying = new AbortController();
    this.#options.keeper.apply(file.tunnels, applying.signal).then(
      () => this.#tell(version, null),
      (error: unknown) => {
        if (applying.signal.aborted) return;
        const shown = file.located(error);
        this.#tell(version, shown instanceof RunnelError ? shown.reason : messageOf(shown));
        // What stands in the file is wrong, and stays so.
        if (shown instanceof UsageError) return;
        this.#retry = this.#clock.after(this.#backoff.next(), () => this.#apply(file, version));
      },
    );
  }

  /** Each outcome once. */
  #tell(version: number, error: string | null): void {
    if (error === null) this.#backoff.reset();
    const outcome = `${version} ${error}`;
    if (outcome === this.#told || this.#isOver) return;
    this.#told = outcome;
    this.#options.onConfig(version, error);
  }
}
