/**
 * Listens to the edge's stream of events (Server-Sent Events), and opens it anew when it ends. The edge says something at
 * least every 30 s, so that silence means a dead link.
 */
import { Backoff, CancelSource, type Clock, messageOf, RunnelError, systemClock } from "../../base/mod.ts";
import { release } from "../../memory/mod.ts";
import { SseParser } from "../../sse/mod.ts";
import { Alarm } from "./alarm.ts";

export interface PushStreamOptions {
  /** Opens the stream. Rejects with `AgentError`. @param lastEventId `""`: there is none */
  open(lastEventId: string, cancel: CancelSource): Promise<ReadableStream<Uint8Array>>;
  onEvent(type: string, data: string): void;
  /** It is open. @param hasMissed true where the edge cannot know what came before */
  onOpen(hasMissed: boolean): void;
  /** It could not be opened, or has ended. */
  onEnd(reason: string): void;
  /** Milliseconds without a byte, comments included, until the stream counts as dead. Default 75,000. */
  silenceMs?: number;
  /** Milliseconds for which a stream must have been open for pauses to start anew. Default 5,000. */
  healthyMs?: number;
  /** Between attempts. Default: up to 1 s, then up to 30 s. */
  backoff?: Backoff;
  clock?: Clock;
}

const DEFAULT_SILENCE_MS = 75_000;
const DEFAULT_HEALTHY_MS = 5_000;
/** Of one event. What the edge sends is far shorter. */
const MAX_EVENT_BYTES = 64 * 1024;
/** Of an id, which goes into a field of the next request. */
const MAX_ID_CHARACTERS = 256;

const restarted = "It is opened anew";

export class PushStream {
  readonly #options: PushStreamOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #lastEventId = "";
  /** When the latest stream was opened; null where it could not be. */
  #openedAt: number | null = null;
  /** Ends the stream that is open or being opened. */
  #current: CancelSource | null = null;
  /** Ends the pause before the next one. */
  readonly #alarm: Alarm;

  constructor(options: PushStreamOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = options.backoff ?? new Backoff();
    this.#alarm = new Alarm(this.#clock);
  }

  /** Listens until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => {
      this.#current?.abort(signal.reason);
      this.#alarm.ring();
    };
    signal.addEventListener("abort", onAbort);
    while (!signal.aborted) {
      this.#openedAt = null;
      const reason = await this.#listen();
      if (signal.aborted) break;
      const openMs = this.#openedAt === null ? 0 : this.#clock.now() - this.#openedAt;
      if (openMs >= (this.#options.healthyMs ?? DEFAULT_HEALTHY_MS)) this.#backoff.reset();
      if (reason === restarted) continue;
      this.#options.onEnd(reason);
      await this.#alarm.wait(this.#backoff.next());
    }
    signal.removeEventListener("abort", onAbort);
  }

  /** Opens it anew at once, such as with another token. */
  restart(): void {
    this.#backoff.reset();
    if (this.#current !== null) this.#current.abort(restarted);
    else this.#alarm.ring();
  }

  /** Resolves to why the stream ended. */
  async #listen(): Promise<string> {
    const cancel = this.#current = new CancelSource();
    try {
      const body = await this.#options.open(this.#lastEventId, cancel);
      this.#openedAt = this.#clock.now();
      this.#options.onOpen(this.#lastEventId === "");
      await this.#readAll(body, cancel);
      return "The edge ended the stream of events";
    } catch (error) {
      if (cancel.reason === restarted) return restarted;
      return error instanceof RunnelError ? error.reason : messageOf(error);
    } finally {
      this.#current = null;
      cancel.abort("The stream is over");
    }
  }

  async #readAll(body: ReadableStream<Uint8Array>, cancel: CancelSource): Promise<void> {
    const parser = new SseParser(({ type, data, id }) => {
      // Of an id that no field can hold, nothing is kept.
      this.#lastEventId = /^[\x20-\x7e]*$/.test(id) && id.length <= MAX_ID_CHARACTERS ? id : "";
      this.#options.onEvent(type, data);
    }, { maxEventBytes: MAX_EVENT_BYTES });
    const silenceMs = this.#options.silenceMs ?? DEFAULT_SILENCE_MS;
    const reader = body.getReader();
    const onAbort = () => void reader.cancel(cancel.reason).catch(() => {});
    cancel.addEventListener("abort", onAbort);
    if (cancel.aborted) onAbort();
    let isSilent = false;
    const silent = () => {
      isSilent = true;
      void reader.cancel("silence").catch(() => {});
    };
    let timer = this.#clock.after(silenceMs, silent);
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (isSilent) throw new Error(`The edge was silent for ${silenceMs} ms on the stream of events`);
        if (cancel.aborted) throw new Error("The stream of events was canceled");
        if (done) return;
        timer.cancel();
        timer = this.#clock.after(silenceMs, silent);
        parser.push(value);
        release(value);
      }
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      timer.cancel();
      cancel.removeEventListener("abort", onAbort);
    }
  }
}
