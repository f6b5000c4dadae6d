/** What `agent run` prints: events for a script, or lines. What has no line is logged. */
import type { KeeperEvents, ManagedAgentEvents } from "../../agent/mod.ts";
import type { RequestReport } from "../../http/mod.ts";
import { logger } from "../../observe/mod.ts";
import { isFailure, logFailure, requestLine, resumedSentence } from "../agent_display.ts";
import { remedyFor } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { type EarlyEnd, earlyEndReason, earlyEndSentences, waitingSentences } from "../shutdown.ts";

const PROTOCOL = "v2";
const noFields = {};

export class RunDisplay {
  readonly #output: Output;
  readonly #log = logger("agent");
  /** A cause is told once, however many attempts fail by it. */
  #toldCause = "";
  /** Why requests end that the stop of the agent has ended; null while it runs. */
  #endReason: string | null = null;

  constructor(output: Output) {
    this.#output = output;
  }

  readonly keeperEvents: KeeperEvents = {
    onReady: ({ url, urls = [url], name, tunnelId, warnings = [] }, upstream) => {
      this.#toldCause = "";
      const lines = urls.map((item) => `${item} -> ${upstream}`);
      this.#output.event("ready", { url, urls, name, tunnelId, upstream, protocol: PROTOCOL }, ...lines);
      for (const warning of warnings) this.#log.warn("{warning}", { warning });
    },
    onTunnelLost: (name, reason) =>
      this.#log.warn("Tunnel {name} is not open, and is tried again: {reason}", { name, reason }),
    onConnecting: (attempt, inMs, because) => {
      const remedy = remedyFor(because) ?? "";
      const facts = { because: because.reason, remedy, inMs, attempt };
      if (this.#isNew(because.reason)) this.#log.warn("Not connected yet, and trying on: {because}. {remedy}", facts);
      else this.#log.debug("Trying again in {inMs} ms, attempt {attempt}", facts);
    },
    onDisconnected: ({ reason }) => {
      this.#output.event("disconnected", { reason });
      this.#log.warn("Disconnected: {reason}", { reason });
    },
    onReconnecting: (attempt, inMs, because) => {
      this.#output.event("reconnecting", { attempt, inMs });
      const message = "Reconnecting in {inMs} ms, attempt {attempt}";
      if (because === null) this.#log.info(message, { inMs, attempt });
      else if (this.#isNew(because.reason)) {
        this.#log.warn(`${message}: {because}`, { inMs, attempt, because: because.reason });
      } else this.#log.debug(message, { inMs, attempt });
    },
    onResumed: (suspendedMs, streams) => {
      this.#toldCause = "";
      this.#output.event("resumed", { suspendedMs: Math.round(suspendedMs), streams });
      this.#log.info(resumedSentence(suspendedMs, streams));
    },
  };

  readonly managedEvents: ManagedAgentEvents = {
    onConfig: (version, error) => this.config(version, error),
    onTrouble: (what, reason) => this.trouble(`The ${what} of the edge`, reason),
    onRecovered: (what) => this.#log.info("The {what} of the edge: works again", { what }),
  };

  /** A version of the config is served, or the one before goes on because of `error`. */
  config(version: number, error: string | null): void {
    const fields = { version, ok: error === null, error: error ?? undefined };
    this.#output.event("config", fields);
    if (error === null) this.#log.info("Version {version} of the config is served", { version });
    else this.#log.error("Version {version} of the config cannot be served, the one before goes on: {error}", fields);
  }

  trouble(what: string, reason: string): void {
    this.#log.warn("{what}: {reason}", { what, reason });
  }

  /** An exchange that could not be passed on. */
  failed(error: unknown): void {
    this.#log.error("An exchange failed: {error}", { error: String(error) });
  }

  request(tunnel: string, report: RequestReport): void {
    // Whoever stopped the agent has ended these requests. Nothing has failed.
    const isStopped = this.#endReason !== null && report.code === "agent_lost";
    const shown = isStopped ? { ...report, reason: `The agent was stopped, ${this.#endReason}` } : report;
    // There may be thousands a second, so the line is made only where it is printed.
    if (!this.#output.isJson) {
      return this.#output.event("request", noFields, `${requestLine(shown, isStopped)} (${tunnel})`);
    }
    this.#output.event("request", { ...shown, tunnel });
    if (isFailure(shown, isStopped)) logFailure(shown);
  }

  stopping(count: number, drainMs: number): void {
    this.#log.info(waitingSentences(count, drainMs)[0]);
  }

  endingEarly(count: number, by: EarlyEnd, drainMs: number): void {
    this.#endReason = earlyEndReason(by, drainMs);
    this.#log.info(earlyEndSentences(count, by, drainMs)[0]);
  }

  #isNew(cause: string): boolean {
    if (cause === this.#toldCause) return false;
    this.#toldCause = cause;
    return true;
  }
}
