/** What `agent http` prints while it runs: events for a script, or plain lines where the output is no terminal. */
import type { OpenTunnel } from "../agent/mod.ts";
import type { OpenExchanges, RequestReport } from "../http/mod.ts";
import { logger } from "../observe/mod.ts";
import { formatBytes, formatDuration, formatStreams, formatTimeOfDay } from "./figures.ts";
import type { Output } from "./output.ts";
import { printablePath } from "./printable.ts";
import { type EarlyEnd, earlyEndSentences, waitingSentences } from "./shutdown.ts";

/** What is known from the start. */
export interface AgentView {
  readonly upstream: string;
  readonly edge: string;
  readonly protocol: string;
}

/** Told what happens to an agent, and shows it. */
export interface AgentDisplay {
  /** Where it looks for the exchanges that are under way; null where it shows none. */
  readonly open: OpenExchanges | null;
  /**
   * Before the first `ready`: an attempt failed.
   *
   * @param inMs milliseconds until the next one
   */
  connecting(attempt: number, inMs: number, because: string, remedy: string): void;
  ready(tunnel: Pick<OpenTunnel, "url" | "urls" | "name" | "tunnelId" | "warnings">): void;
  disconnected(reason: string): void;
  /**
   * @param inMs milliseconds until the attempt
   * @param because why the last attempt failed; null before the first one
   */
  reconnecting(attempt: number, inMs: number, because: string | null): void;
  /** The session goes on over another link. @param streams exchanges that were kept */
  resumed(suspendedMs: number, streams: number): void;
  /** @param isStopped the request was ended by the stop of the agent, see `endingEarly` */
  request(report: RequestReport, isStopped: boolean): void;
  /**
   * The first signal came.
   *
   * @param count requests that the agent finishes
   * @param drainMs milliseconds that they may take
   */
  stopping(count: number, drainMs: number): void;
  /**
   * A second signal or the timeout of the drain ends what still runs.
   *
   * @param count requests under way
   * @param drainMs milliseconds that they were given
   */
  endingEarly(count: number, by: EarlyEnd, drainMs: number): void;
  close(): void;
}

/** Prints events with `--json`, else lines. What has no line is logged. */
export function eventDisplay(view: AgentView, output: Output): AgentDisplay {
  const log = logger("agent");
  let hasBeenReady = false;
  // A cause is told once, however many attempts fail by it.
  let toldCause = "";
  const isNew = (cause: string) => cause !== toldCause && (toldCause = cause) !== "";
  return {
    open: null,
    connecting(attempt, inMs, because, remedy) {
      const facts = { because, remedy, inMs, attempt };
      if (isNew(because)) log.warn("Not connected yet, and trying on: {because}. {remedy}", facts);
      else log.debug("Trying again in {inMs} ms, attempt {attempt}", facts);
    },
    ready({ url, urls = [url], name, tunnelId, warnings = [] }) {
      const { upstream, protocol } = view;
      const lines = hasBeenReady ? [`Connected again: ${url}`] : urls.map((item) => `${item} -> ${upstream}`);
      hasBeenReady = true;
      toldCause = "";
      output.event("ready", { url, urls, name, tunnelId, upstream, protocol }, ...lines);
      for (const warning of warnings) log.warn("{warning}", { warning });
    },
    disconnected(reason) {
      output.event("disconnected", { reason });
      log.warn("Disconnected: {reason}", { reason });
    },
    reconnecting(attempt, inMs, because) {
      output.event("reconnecting", { attempt, inMs });
      const message = "Reconnecting in {inMs} ms, attempt {attempt}";
      if (because === null) log.info(message, { inMs, attempt });
      else if (isNew(because)) log.info(`${message}: {because}`, { inMs, attempt, because });
      else log.debug(message, { inMs, attempt });
    },
    resumed(suspendedMs, streams) {
      toldCause = "";
      output.event("resumed", { suspendedMs: Math.round(suspendedMs), streams });
      log.info(resumedSentence(suspendedMs, streams));
    },
    request(report, isStopped) {
      // There may be thousands a second, so the line is made only where it is printed.
      if (!output.isJson) return output.event("request", noFields, requestLine(report, isStopped));
      output.event("request", { ...report });
      if (isFailure(report, isStopped)) logFailure(report);
    },
    stopping: (count, drainMs) => log.info(waitingSentences(count, drainMs)[0]),
    endingEarly: (count, by, drainMs) => log.info(earlyEndSentences(count, by, drainMs)[0]),
    close() {},
  };
}

const noFields = {};

/** `Resumed after 1.2 s with 3 streams kept`. */
export function resumedSentence(suspendedMs: number, streams: number): string {
  return `Resumed after ${formatDuration(suspendedMs)} with ${formatStreams(streams)} kept`;
}

/** True where a request ended early, and neither because the visitor left nor because the agent was stopped. */
export function isFailure({ code }: Pick<RequestReport, "code">, isStopped: boolean): boolean {
  return code !== undefined && code !== "canceled" && !isStopped;
}

/** For those who read the log alone: the events go to a script. */
export function logFailure({ id, method, path, code, reason }: RequestReport): void {
  const properties = { id, method, path: printablePath(path), code, reason };
  logger("agent").warn("Request {id} failed, {method} {path}: {reason} ({code})", properties);
}

/** `14:03:09 GET /events 200 1.2 KiB 34 ms`; the code of a problem stands at the end, with its cause. */
export function requestLine(report: RequestReport, isStopped: boolean): string {
  const { method, path, status, bytesOut, durationMs, code, reason } = report;
  const figures = `${status} ${formatBytes(bytesOut)} ${formatDuration(durationMs)}`;
  const line = `${currentTimeOfDay()} ${method} ${printablePath(path)} ${figures}`;
  if (code === undefined) return line;
  if (isStopped) return `${line} ${reason}`;
  return isFailure(report, isStopped) ? `${line} ${code}: ${reason}` : `${line} ${code}`;
}

let shownSecond = -1;
let shownTime = "";

/** The text is made once a second, however many requests end in it. */
function currentTimeOfDay(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== shownSecond) {
    shownSecond = second;
    shownTime = formatTimeOfDay(new Date(second * 1000));
  }
  return shownTime;
}
