/** The traffic under a chaos run: one visitor of each kind, which comes again for as long as something goes wrong. */
import { download, echo, events, leave, raw, requests, upload, type Visitor } from "./visitors.ts";

export const kinds = ["download", "upload", "events", "echo", "raw", "requests", "leave"] as const;
export type Kind = typeof kinds[number];

/** Bytes, events, messages, requests or departures of one visit. */
export type Sizes = Readonly<Record<Kind, number>>;

const visitors: Readonly<Record<Kind, Visitor>> = {
  download,
  upload,
  events,
  echo,
  raw,
  requests,
  leave,
};

function noneOfEach(): Record<Kind, number> {
  return Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>;
}

export interface LoadOptions {
  readonly port: number;
  /** Of the tunnels, which are asked in turns. */
  readonly hosts: readonly string[];
  readonly sizes: Sizes;
  /** True once no visit is to begin any more. */
  isOver(): boolean;
}

export class Load {
  /** Visits that ended well, and what came in them and in those under way. */
  readonly visits = noneOfEach();
  readonly progress = noneOfEach();
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  #seed = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Resolves when each kind has ended well; rejects with the first fault, and ends the rest. */
  async run(): Promise<void> {
    try {
      await Promise.all(kinds.map((kind) => this.#repeat(kind)));
    } finally {
      this.stop();
    }
  }

  /** Closes the connections of the visits that are under way. */
  stop(): void {
    this.#stop.abort();
  }

  async #repeat(kind: Kind): Promise<void> {
    const { port, hosts, sizes, isOver } = this.#options;
    const { signal } = this.#stop;
    do {
      const seed = ++this.#seed * 2;
      const host = hosts[seed / 2 % hosts.length]!;
      const onProgress = (count: number) => void (this.progress[kind] += count);
      try {
        await visitors[kind]({ port, host, seed, size: sizes[kind], signal, onProgress });
      } catch (error) {
        throw new Error(`${kind} number ${this.visits[kind]}, of ${host}: ${error}`, { cause: error });
      }
      this.visits[kind]++;
    } while (!isOver() && !signal.aborted);
  }
}
