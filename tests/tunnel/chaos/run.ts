/** A chaos run: events strike the link one after the other while the load runs, and nobody outside is to notice. */
import { eventually } from "../../support/net.ts";
import { Load, type Sizes } from "./load.ts";
import { type ChaosEvent, chaosPlan, eventText } from "./plan.ts";
import { type ChaosStage, type ChaosStageOptions, startChaosStage } from "./stage.ts";
import { ChaosUpstream } from "./upstream.ts";

const MIB = 1024 * 1024;
/**
 * What one end may hold: the pool from which windows grow and the first windows of these streams, of both directions, and
 * what is in flight: DATA, heads and other control frames.
 */
const STREAMS = 16;
const BUFFERED_BYTES = 2 * (8 * MIB + STREAMS * 65_536) + 4 * MIB + 2 * MIB;
/** Streams under way that make an event count. */
const MANY_STREAMS = 3;

export interface ChaosOptions extends Omit<ChaosStageOptions, "upstream"> {
  readonly seed: number;
  readonly events: number;
  readonly sizes: Sizes;
  /** Until an event must have struck, and the link be there again. Default 60,000. */
  readonly eventDeadlineMs?: number;
  /** Until the load has ended behind the last event. Default 60,000. */
  readonly endDeadlineMs?: number;
}

export interface ChaosReport {
  /** Events that struck while three or more streams were under way. */
  readonly busyEvents: number;
  readonly mostBufferedBytes: { readonly edge: number; readonly agent: number };
  readonly text: string;
}

/** @throws with the seed and what had happened until then */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, events, sizes } = options;
  const upstream = await ChaosUpstream.start();
  const stage = await startChaosStage({ ...options, upstream: upstream.handler });
  const run = new ChaosRun(stage, upstream, options);
  try {
    return await run.run(chaosPlan(seed, events, stallMs), sizes);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${run.story()}`, { cause: error });
  } finally {
    run.end();
    await stage.close();
    upstream.close();
  }
}

/** The longest stall: longer than a silence that is taken for death, so that both ways out of one are seen. */
const stallMs = 700;

class ChaosRun {
  readonly #stage: ChaosStage;
  readonly #upstream: ChaosUpstream;
  readonly #options: ChaosOptions;
  readonly #log: string[] = [];
  readonly #startedAt = performance.now();
  readonly #watch: ReturnType<typeof setInterval>;
  readonly #most = { edge: 0, agent: 0 };
  #load: Load | null = null;
  #busyEvents = 0;
  /** No visit is to begin any more. */
  #isOver = false;
  #isEnded = false;
  #stop!: (reason: Error) => void;
  /** Rejects when the run is ended, so that nothing goes on waiting. */
  readonly #stopped = new Promise<never>((_, reject) => this.#stop = reject);

  constructor(stage: ChaosStage, upstream: ChaosUpstream, options: ChaosOptions) {
    this.#stage = stage;
    this.#upstream = upstream;
    this.#options = options;
    this.#watch = setInterval(() => this.#look(), 2);
    this.#stopped.catch(() => {});
  }

  async run(plan: readonly ChaosEvent[], sizes: Sizes): Promise<ChaosReport> {
    const { port, hosts } = this.#stage;
    const load = this.#load = new Load({ port, hosts, sizes, isOver: () => this.#isOver });
    const loaded = load.run();
    const struck = this.#strikeAll(plan).finally(() => this.#isOver = true);
    for (const part of [loaded, struck]) part.catch(() => {});
    await Promise.race([struck, loaded.then(() => struck)]);
    const { endDeadlineMs = 60_000 } = this.#options;
    await this.#inTime(loaded, endDeadlineMs, "the load has not ended");
    await this.#assertNothingLeft();
    // The upstream of every visitor that left was told.
    const left = load.progress.leave;
    await eventually(() => this.#upstream.left >= left, { message: `${this.#upstream.left} of ${left} left` });
    if (this.#upstream.faults.length > 0) throw new Error(this.#upstream.faults.join("\n"));
    this.#look();
    for (const [end, bytes] of Object.entries(this.#most)) {
      if (bytes > BUFFERED_BYTES) throw new Error(`the ${end} held ${bytes} bytes, more than ${BUFFERED_BYTES}`);
    }
    return { busyEvents: this.#busyEvents, mostBufferedBytes: this.#most, text: this.#summary() };
  }

  end(): void {
    this.#isEnded = true;
    clearInterval(this.#watch);
    this.#load?.stop();
    this.#stop(new Error("the run has ended"));
  }

  /** What happened so far, and how to have it again. */
  story(): string {
    const faults = this.#upstream.faults.map((fault) => `  ${fault}`);
    return [`RUNNEL_SEED=${this.#options.seed} replays it`, ...this.#log, ...faults, this.#summary()].join("\n");
  }

  #summary(): string {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const { counts } = this.#stage.link;
    const { edge, agent } = this.#most;
    return [
      `seed ${this.#options.seed}: ${this.#log.length} events in ${seconds} s, ` +
      `${this.#busyEvents} of them while ${MANY_STREAMS} or more streams were under way`,
      `visits ${JSON.stringify(this.#load?.visits)}, came ${JSON.stringify(this.#load?.progress)}`,
      `link ${JSON.stringify(counts)}`,
      `most held: edge ${edge}, agent ${agent} bytes`,
    ].join("\n");
  }

  async #strikeAll(plan: readonly ChaosEvent[]): Promise<void> {
    // What is cut before it began says little; afterwards streams are under way most of the time.
    await eventually(() => this.#isBusy || this.#isEnded, { message: "streams are under way" });
    for (const event of plan) await this.#strike(event);
  }

  async #strike(event: ChaosEvent): Promise<void> {
    const { link } = this.#stage;
    const { eventDeadlineMs: deadlineMs = 60_000 } = this.#options;
    const text = eventText(event);
    const struck = link.cutAfter(event.afterBytes, event.direction, event.fault);
    await this.#inTime(struck, deadlineMs, `no byte for: ${text}`);
    const { active } = this.#upstream;
    if (this.#isBusy) this.#busyEvents++;
    const at = ((performance.now() - this.#startedAt) / 1000).toFixed(2);
    this.#log.push(`  ${this.#log.length + 1}. at ${at} s, ${active} streams: ${text}`);
    const { joined } = link.counts;
    if (event.fault !== "stall") {
      link.refuseDials(event.refusals);
      const isBack = eventually(() => link.counts.joined > joined, { deadlineMs, message: `a dial behind: ${text}` });
      return await Promise.race([isBack, this.#stopped]);
    }
    await new Promise((resolve) => setTimeout(resolve, event.stallMs));
    link.resume();
  }

  get #isBusy(): boolean {
    return this.#upstream.active >= MANY_STREAMS;
  }

  #look(): void {
    const { edge, agent } = this.#most;
    this.#most.edge = Math.max(edge, this.#stage.edgeSession()?.bufferedBytes ?? 0);
    this.#most.agent = Math.max(agent, this.#stage.agentSession()?.bufferedBytes ?? 0);
  }

  async #assertNothingLeft(): Promise<void> {
    const ends = () => [this.#stage.edgeSession(), this.#stage.agentSession()];
    await eventually(() => ends().every((end) => end !== null && end.active === 0 && end.bufferedBytes === 0), {
      message: "nothing is left of any stream, at either end",
    }).catch((error) => {
      throw new Error(
        `${error.message}: ${ends().map((end) => `${end?.active} streams, ${end?.bufferedBytes} bytes`)}`,
      );
    });
  }

  async #inTime<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
    });
    try {
      return await Promise.race([promise, late, this.#stopped]);
    } finally {
      clearTimeout(timer);
    }
  }
}
