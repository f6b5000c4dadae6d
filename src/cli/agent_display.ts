/** What `agent http` shows of itself: events for a script, or plain lines where no person watches a terminal. */
import type { RequestReport } from "../http/mod.ts";
import type { OpenTunnel } from "../agent/mod.ts";
import { logger } from "../observe/mod.ts";
import { formatBytes, formatDuration, formatTimeOfDay } from "./figures.ts";
import type { Output } from "./output.ts";
import { printablePath } from "./printable.ts";

/** What is known before anything has happened. */
export interface AgentView {
  readonly upstream: string;
  readonly edge: string;
  readonly protocol: string;
}

export interface AgentDisplay {
  ready(tunnel: Pick<OpenTunnel, "url" | "name" | "tunnelId">): void;
  disconnected(reason: string): void;
  /** @param because why the last attempt failed; null before the first one */
  reconnecting(attempt: number, inMs: number, because: string | null): void;
  request(report: RequestReport): void;
  /** The first signal came: what runs is finished. */
  stopping(): void;
  close(): void;
}

/** Prints events or lines, and logs what has no line of its own. */
export function eventDisplay(view: AgentView, output: Output): AgentDisplay {
  const log = logger("agent");
  let wasReady = false;
  return {
    ready({ url, name, tunnelId }) {
      const line = wasReady ? `Connected again: ${url}` : `${url} -> ${view.upstream}`;
      wasReady = true;
      output.event("ready", { url, name, tunnelId, upstream: view.upstream, protocol: view.protocol }, line);
    },
    disconnected(reason) {
      output.event("disconnected", { reason });
      log.warn("Disconnected: {reason}", { reason });
    },
    reconnecting(attempt, inMs, because) {
      output.event("reconnecting", { attempt, inMs });
      const why = because === null ? "" : `: ${because}`;
      log.info("Reconnecting in {inMs} ms, attempt {attempt}{why}", { inMs, attempt, why });
    },
    request(report) {
      // Thousands a second: of line and event only what is printed is made.
      if (output.json) output.event("request", { ...report });
      else output.event("request", noFields, requestLine(report));
    },
    stopping: () => log.info("Finishing what runs; a second signal ends it"),
    close() {},
  };
}

const noFields = {};

/** `14:03:09 GET /events 200 1.2 KiB 34 ms`, and a problem's code at the end. */
function requestLine({ method, path, status, bytesOut, durationMs, code }: RequestReport): string {
  const figures = `${status} ${formatBytes(bytesOut)} ${formatDuration(durationMs)}`;
  const line = `${currentTimeOfDay()} ${method} ${printablePath(path)} ${figures}`;
  return code === undefined ? line : `${line} ${code}`;
}

let shownSecond = -1;
let shownTime = "";

/** Made once a second, however many requests end in it. */
function currentTimeOfDay(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== shownSecond) {
    shownSecond = second;
    shownTime = formatTimeOfDay(new Date(second * 1000));
  }
  return shownTime;
}
