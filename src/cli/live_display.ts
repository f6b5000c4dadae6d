/** The live view of `agent http`: holds its state, and draws it at most ten times a second. */
import { type Clock, printable, systemClock, type Timer } from "../base/mod.ts";
import { type OpenExchange, OpenExchanges } from "../http/mod.ts";
import { configureLog, logger } from "../observe/mod.ts";
import { type AgentDisplay, type AgentView, isFailure, resumedSentence } from "./agent_display.ts";
import type { CommandCall } from "./command.ts";
import { canUseColor, canUseUnicode, type ProgramHost } from "./host.ts";
import { type LiveRequest, type LiveState, type LiveStream, renderLive } from "./live_view.ts";
import { logOptions } from "./output.ts";
import { printablePath } from "./printable.ts";
import { Screen } from "./screen.ts";
import type { EarlyEnd } from "./shutdown.ts";

/** From a change until the view is drawn, so that changes which come together are drawn together. */
const DRAW_DELAY_MS = 100;

const COUNTDOWN_MS = 1_000;

/** How often it is looked whether streams move. */
const SAMPLE_MS = 1_000;
/** A request that is under way for less is not shown yet: most end before. */
const MIN_STREAM_MS = 1_000;

/** More than the rows of any window. */
const MAX_ROWS = 200;

/**
 * Draws to standard output until `close()`. Where the log goes to the same terminal, its lines go above the view.
 */
export async function liveDisplay(
  view: AgentView,
  { host, values }: Pick<CommandCall, "host" | "values">,
  clock: Clock = systemClock,
): Promise<AgentDisplay> {
  const display = new LiveDisplay(view, host, clock);
  if (host.terminal("stderr").isTerminal) {
    await configureLog({ ...logOptions(values, host), write: (line) => display.log(line) });
  }
  return display;
}

class LiveDisplay implements AgentDisplay {
  readonly open = new OpenExchanges();
  readonly #host: ProgramHost;
  readonly #clock: Clock;
  readonly #screen: Screen;
  readonly #stopResize: () => void;
  readonly #recent: LiveRequest[] = [];
  #state: LiveState;
  #timer: Timer | null = null;
  /** Runs while a request is under way. */
  #sampleTimer: Timer | null = null;
  /** Runs while an attempt to reconnect is waited for. */
  #countdown: Timer | null = null;
  #isClosed = false;

  constructor(view: AgentView, host: ProgramHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#screen = new Screen({
      write: (text) => host.stdout(text),
      columns: () => host.terminal("stdout").columns,
      isColored: canUseColor(host),
      hasUnicode: canUseUnicode(host),
    });
    const status = { kind: "connecting", reason: "" } as const;
    this.#state = { ...view, url: null, status, requests: 0, failed: 0, bytesOut: 0, recent: this.#recent };
    this.open.onFirst = () => this.#sampleLater();
    this.#stopResize = host.onResize(() => this.#draw());
    this.#draw();
  }

  connecting(_attempt: number, _inMs: number, because: string, remedy: string): void {
    this.#change({ status: { kind: "connecting", reason: printable(`${because}. ${remedy}`) } });
  }

  ready({ url, urls = [url], warnings = [] }: Parameters<AgentDisplay["ready"]>[0]): void {
    const furtherUrls = urls.filter((item) => item !== url).map(printable);
    this.#change({
      url: printable(url),
      furtherUrls,
      status: { kind: "online", resumed: "" },
      warnings: warnings.map(printable),
    });
    for (const warning of warnings) logger("agent").warn("{warning}", { warning });
  }

  disconnected(reason: string): void {
    this.#change({ status: { kind: "reconnecting", attempt: 1, inMs: 0, reason: printable(reason) } });
  }

  reconnecting(attempt: number, inMs: number, because: string | null): void {
    const { status } = this.#state;
    const known = status.kind === "reconnecting" ? status.reason : "";
    const reason = because === null ? known : printable(because);
    this.#change({ status: { kind: "reconnecting", attempt, inMs, reason } });
    this.#countDown(this.#clock.now() + inMs);
  }

  resumed(suspendedMs: number, streams: number): void {
    this.#change({ status: { kind: "online", resumed: resumedSentence(suspendedMs, streams) } });
  }

  request(report: Parameters<AgentDisplay["request"]>[0], isStopped: boolean): void {
    const { method, path, status, bytesOut, durationMs, code = "", reason = "" } = report;
    const endedAt = new Date();
    const request = { endedAt, method, path: printablePath(path), status, bytesOut, durationMs, code, isStopped };
    if (this.#recent.push(request) > MAX_ROWS) this.#recent.shift();
    const { requests, failed, bytesOut: sum } = this.#state;
    const change = { requests: requests + 1, bytesOut: sum + bytesOut };
    if (!isFailure(report, isStopped)) return this.#change(change);
    this.#change({ ...change, failed: failed + 1, failure: { endedAt, code, reason: printable(reason) } });
  }

  stopping(count: number, drainMs: number): void {
    this.#change({ status: { kind: "stopping", count, drainMs } });
  }

  endingEarly(count: number, by: EarlyEnd, drainMs: number): void {
    this.#change({ status: { kind: "endedEarly", count, by, drainMs } });
  }

  /** Prints a line of the log above the view. */
  log(line: string): void {
    if (this.#isClosed) return void this.#host.stderr(line);
    this.#screen.clear();
    this.#host.stderr(line);
    this.#draw();
  }

  /** Draws for the last time. What was drawn stays on the terminal. */
  close(): void {
    if (this.#isClosed) return;
    if (this.#state.url !== null && this.#state.status.kind !== "endedEarly") {
      this.#state = { ...this.#state, status: { kind: "ended" } };
    }
    this.#draw();
    this.#isClosed = true;
    this.#sampleTimer?.cancel();
    this.#countdown?.cancel();
    this.#stopResize();
  }

  #change(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.after(DRAW_DELAY_MS, () => this.#draw());
  }

  /** Shows each second how long it is until the next attempt. */
  #countDown(dueAt: number): void {
    this.#countdown?.cancel();
    const waitMs = Math.min(COUNTDOWN_MS, Math.max(0, dueAt - this.#clock.now()));
    this.#countdown = this.#clock.after(waitMs, () => {
      this.#countdown = null;
      const { status } = this.#state;
      if (status.kind !== "reconnecting" || this.#isClosed) return;
      const inMs = Math.max(0, dueAt - this.#clock.now());
      this.#change({ status: { ...status, inMs } });
      if (inMs > 0) this.#countDown(dueAt);
    });
  }

  #sampleLater(): void {
    if (!this.#isClosed) this.#sampleTimer ??= this.#clock.after(SAMPLE_MS, () => this.#sample());
  }

  #sample(): void {
    this.#sampleTimer = null;
    this.open.sample(this.#clock.now());
    this.#draw();
    if (this.open.size > 0) this.#sampleLater();
  }

  #draw(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#lookAtOpen();
    const { columns, rows } = this.#host.terminal("stdout");
    // The last column and the last row stay empty: a terminal scrolls when they are filled.
    this.#screen.draw(renderLive(this.#state, Math.max(1, columns - 1), Math.max(1, rows - 1)));
  }

  /** Brings the state up to date with the requests that are under way. */
  #lookAtOpen(): void {
    const { status } = this.#state;
    if (status.kind === "ended" || status.kind === "endedEarly") {
      return void (this.#state = { ...this.#state, open: undefined });
    }
    const now = this.#clock.now();
    const streams: LiveStream[] = [];
    let count = 0;
    let moving = 0;
    for (const exchange of this.open) {
      // The next ones are younger.
      if (now - exchange.figures.startedAt < MIN_STREAM_MS) break;
      count++;
      if (exchange.isMoving) moving++;
    }
    let toSkip = count - MAX_ROWS;
    for (const exchange of this.open) {
      if (streams.length === Math.min(count, MAX_ROWS)) break;
      if (toSkip-- <= 0) streams.push(streamOf(exchange, now));
    }
    this.#state = { ...this.#state, open: { count, moving, streams } };
    if (status.kind === "stopping") this.#state = { ...this.#state, status: { ...status, count: this.open.size } };
  }
}

function streamOf({ figures, bytes, isMoving, movedAt }: OpenExchange, now: number): LiveStream {
  const { method, path, status, startedAt } = figures;
  const idleMs = isMoving ? null : now - movedAt;
  return { method, path: printablePath(path), status, bytes, ageMs: now - startedAt, idleMs };
}
