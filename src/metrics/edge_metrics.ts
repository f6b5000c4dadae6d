/**
 * The metrics of an edge as a text that comes in pieces. Of 1,000 tunnels it has 30,000 lines, and to print them at once
 * would stop everything else for 40 ms: between two pieces the event loop does what else there is.
 */
import { cachedClock, type Clock, systemClock } from "../base/mod.ts";
import type { Edge, TunnelFigures } from "../edge/mod.ts";
import { afterPoll, runtimeName, runtimeVersion } from "../net/mod.ts";
import { type Metric, Samples } from "./metric.ts";
import { edgeMetrics, type EdgeScrape, type PushFigures } from "./of_edge.ts";
import { REST_NAME, tunnelMetrics, type TunnelScrape } from "./of_tunnels.ts";
import { Printer } from "./printer.ts";

export interface EdgeMetricsOptions {
  edge: Edge;
  version: string;
  /** The names of the tunnels that are declared, whether an agent has opened them or not. Default: none. */
  declared?(): Iterable<string>;
  /** What agents are told, and what became of it. Default: there is nothing. */
  push?(): PushFigures;
  /** That of the edge. */
  clock?: Clock;
}

/** Lines of one piece: less than 1 ms of work, several with a collection of garbage in it. */
export const MAX_PIECE_SAMPLES = 250;
/** Texts that are being made at one time. Two Prometheus servers ask for one each. */
export const MAX_SCRAPES = 8;

export class EdgeMetrics {
  readonly #options: EdgeMetricsOptions;
  readonly #clock: Clock;
  readonly #turns = new Turns();
  #scrapes = 0;

  constructor(options: EdgeMetricsOptions) {
    this.#options = options;
    this.#clock = cachedClock(options.clock ?? systemClock);
  }

  /** The answer to a scrape; null where there are `MAX_SCRAPES` already. @param isHead true: without the text */
  async answer(isHead = false): Promise<Response | null> {
    const printer = await Printer.load();
    const headers = { "content-type": printer.contentType, "cache-control": "no-store" };
    if (isHead) return new Response(null, { headers });
    return this.#scrapes >= MAX_SCRAPES ? null : new Response(this.#bodyOf(this.#piecesBy(printer)), { headers });
  }

  /** The text, in pieces of at most `MAX_PIECE_SAMPLES` lines of samples, each in a turn of its own. */
  async *pieces(): AsyncGenerator<string, void> {
    yield* this.#piecesBy(await Printer.load());
  }

  #bodyOf(pieces: AsyncGenerator<string, void>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const utf8 = new TextEncoder();
    let isOver = false;
    const end = () => {
      if (!isOver) this.#scrapes--;
      isOver = true;
    };
    this.#scrapes++;
    return new ReadableStream({
      async pull(controller) {
        try {
          const { value, done } = await pieces.next();
          if (done !== true) return controller.enqueue(utf8.encode(value));
          end();
          controller.close();
        } catch (error) {
          end();
          throw error;
        }
      },
      async cancel() {
        end();
        await pieces.return();
      },
    }, { highWaterMark: 0 });
  }

  async *#piecesBy(printer: Printer): AsyncGenerator<string, void> {
    const eventLoopDelayMs = await this.#turns.wait();
    const { edge, version, declared, push } = this.#options;
    const tunnels = edge.figures.tunnels(declared?.());
    yield await printEdge(printer, {
      edge,
      version,
      runtime: `${runtimeName} ${runtimeVersion}`,
      onlineTunnels: tunnels.filter(({ session }) => session?.isSuspended === false).length,
      suspendedTunnels: tunnels.filter(({ session }) => session?.isSuspended === true).length,
      offlineTunnels: tunnels.filter(({ session }) => session === null).length,
      eventLoopDelayMs,
      push: push?.() ?? null,
    });
    const scrapes = this.#scrapesOf(tunnels);
    for (const metric of tunnelMetrics) {
      const count = Math.floor(MAX_PIECE_SAMPLES / metric.samples);
      // Without any tunnel, too: HELP and TYPE are always there.
      for (let from = 0; from === 0 || from < scrapes.length; from += count) {
        await this.#turns.wait();
        yield await printTunnels(printer, metric, scrapes.slice(from, from + count), from === 0);
      }
    }
  }

  /** Those that are counted by themselves, and the others as one. */
  #scrapesOf(tunnels: readonly TunnelFigures[]): TunnelScrape[] {
    const { rest } = this.#options.edge.figures;
    const now = this.#clock.now();
    const scrapes: TunnelScrape[] = tunnels.filter(({ traffic }) => traffic !== rest)
      .map((figures) => ({ ...figures, labels: { tunnel: figures.name }, isRest: false, now }));
    if (scrapes.length === tunnels.length) return scrapes;
    const labels = { tunnel: REST_NAME };
    return [...scrapes, { name: REST_NAME, traffic: rest, session: null, labels, isRest: true, now }];
  }
}

async function printEdge(printer: Printer, scrape: EdgeScrape): Promise<string> {
  let text = "";
  for (const metric of edgeMetrics) {
    const samples = new Samples(metric.name);
    metric.read(scrape, samples);
    text += await printer.print(metric, samples.list, true);
  }
  return text;
}

function printTunnels(
  printer: Printer,
  metric: Metric<TunnelScrape>,
  scrapes: readonly TunnelScrape[],
  isFirst: boolean,
): Promise<string> {
  const samples = new Samples(metric.name);
  for (const scrape of scrapes) {
    samples.of(scrape.labels);
    metric.read(scrape, samples);
  }
  return printer.print(metric, samples.list, isFirst);
}

/** One piece in an iteration of the event loop, whoever asks for it: many scrapes block no longer than one. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves when it is the caller's turn, with the milliseconds until then. */
  wait(): Promise<number> {
    const askedAt = performance.now();
    const turn = this.#last.then(() => new Promise<void>((resolve) => afterPoll({ onPolled: resolve })));
    this.#last = turn;
    return turn.then(() => performance.now() - askedAt);
  }
}
