/** What an edge does when its descriptors run out: visitors are refused, agents and probes are served, the log says so. */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { ExchangeError, type Handler } from "../http/mod.ts";
import { isServicePath } from "./own_paths.ts";
import type { Router } from "./router.ts";

/** For connections that were accepted although descriptors run out: 503 `overloaded`, but for agents and probes. */
export function sheddingHandler(handler: Handler, router: Router): Handler {
  return (head, body, signal) => {
    const { kind } = router.route(head.authority);
    if ((kind === "own" || kind === "foreign") && isServicePath(head.target)) return handler(head, body, signal);
    return Promise.reject(new ExchangeError("overloaded", "This edge has too many connections now"));
  };
}

/** How often refused connections are reported. */
const REPORT_MS = 60_000;

/** Connections that were refused. The first one is reported at once, those after it in one count a minute. */
export class ShedCount {
  readonly #report: (count: number) => void;
  readonly #clock: Clock;
  #count = 0;
  #timer: Timer | null = null;

  constructor(report: (count: number) => void, clock: Clock = systemClock) {
    this.#report = report;
    this.#clock = clock;
  }

  readonly add = (): void => {
    if (this.#timer !== null) return void this.#count++;
    this.#report(1);
    this.#startTimer();
  };

  /** Reports what was counted. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#count > 0) this.#report(this.#count);
    this.#count = 0;
  }

  #startTimer(): void {
    this.#timer = this.#clock.after(REPORT_MS, () => {
      const hasCounted = this.#count > 0;
      this.close();
      if (hasCounted) this.#startTimer();
    });
  }
}
