/**
 * What an agent asks of its edge by plain HTTP: its config, word of changes, and to take its acknowledgement. Everything is
 * asked at the edge that the agent was given, by its token. No redirect is followed, so that no one else sees the token.
 */
import { type CancelSignal, CancelSource, type Clock, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  collectBody,
  CollectBudget,
  type Fields,
  fieldValue,
  hasMediaType,
} from "../../http/mod.ts";
import { type Dial, HttpClient } from "../../http1/mod.ts";
import { isLoopback } from "../../net/mod.ts";
import { parseJson } from "../../session/mod.ts";
import type { AgentToken } from "../agent_token.ts";
import { problemOf, refusal } from "../edge_failure.ts";
import type { EdgeUrl } from "../edge_url.ts";
import { AgentError } from "../errors.ts";
import { withoutBrackets } from "../url_target.ts";
import { type EdgeConfig, readEdgeConfig } from "./tunnel_config.ts";

export interface EdgeApiOptions {
  readonly edge: EdgeUrl;
  readonly token: AgentToken;
  /** Which one of its node's agents this is. */
  readonly instance: string;
  readonly dial?: Dial;
  /** Milliseconds until the head of an answer. Default 15,000. */
  readonly headTimeoutMs?: number;
  readonly clock?: Clock;
}

/** What became of a version of the config. */
export interface Acknowledgement {
  readonly version: number;
  readonly checksum: string;
  /** Why it could not be applied; null where it was. */
  readonly error: string | null;
}

export interface FetchedConfig {
  readonly config: EdgeConfig;
  readonly etag: string | null;
}

const DEFAULT_HEAD_TIMEOUT_MS = 15_000;
/** Of a config: thousands of tunnels fit. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
/** Of another answer. */
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_ERROR_CHARACTERS = 1_024;

const CONFIG_PATH = "/api/agent/config";
const PUSH_PATH = "/api/agent/push";
const ACK_PATH = "/api/agent/ack";

export class EdgeApi {
  readonly #options: EdgeApiOptions;
  readonly #client: HttpClient;
  readonly #clock: Clock;

  constructor(options: EdgeApiOptions) {
    const { edge, dial, clock = systemClock } = options;
    this.#options = options;
    this.#client = new HttpClient({ target: edge.target, dial, clock });
    this.#clock = clock;
  }

  /**
   * The config; null where it is still the one with this `etag`.
   *
   * @throws {AgentError}
   */
  async config(etag: string | null, signal: CancelSignal): Promise<FetchedConfig | null> {
    const fields = etag === null ? [] : ["If-None-Match", etag];
    return await linkedTo(signal, async (cancel) => {
      const answer = await this.#ask("GET", CONFIG_PATH, fields, null, cancel);
      const { status, text } = await this.#wholeOf(answer, MAX_CONFIG_BYTES, cancel);
      if (status === 304 && etag !== null) return null;
      if (status !== 200) throw this.#refused("GET", CONFIG_PATH, status, text);
      const config = readEdgeConfig(parseJson(text));
      if (config === null) throw this.#failed(`its answer to GET ${CONFIG_PATH} is no config`);
      return { config, etag: fieldValue(answer.fields, "etag") ?? null };
    });
  }

  /**
   * Opens the stream of events.
   *
   * @param path see `pushPathOf`
   * @param lastEventId that of the newest event that is known; `""`: none is
   * @param cancel ends the stream, and whatever comes before it
   * @throws {AgentError}
   */
  async push(path: string, lastEventId: string, cancel: CancelSource): Promise<ReadableStream<Uint8Array>> {
    const url = new URL(path, "http://edge");
    url.searchParams.set("instance", this.#options.instance);
    const fields = ["Accept", "text/event-stream", ...lastEventId === "" ? [] : ["Last-Event-ID", lastEventId]];
    const target = url.pathname + url.search;
    const answer = await this.#ask("GET", target, fields, null, cancel);
    if (answer.status !== 200) {
      const { status, text } = await this.#wholeOf(answer, MAX_ANSWER_BYTES, cancel);
      throw this.#refused("GET", url.pathname, status, text);
    }
    const isStream = hasMediaType(fieldValue(answer.fields, "content-type"), "text/event-stream");
    if (isStream && answer.body instanceof ReadableStream) return answer.body;
    // What came whole is over already.
    if (isStream) {
      return new Blob([answer.body as Uint8Array<ArrayBuffer> ?? ""]).stream() as ReadableStream<Uint8Array>;
    }
    await this.#wholeOf(answer, MAX_ANSWER_BYTES, cancel).catch(() => {});
    throw this.#failed(`its answer to GET ${url.pathname} is no stream of events`);
  }

  /**
   * The path of `pushUrl`, which is asked at this edge in any case. `isForeign`: the URL is not of the edge's own origin,
   * and the usual path is asked instead.
   */
  pushPathOf(pushUrl: string): { path: string; isForeign: boolean } {
    const { label } = this.#options.edge;
    const url = URL.canParse(pushUrl, label) ? new URL(pushUrl, label) : null;
    if (url === null || !isSameOrigin(url, new URL(label))) return { path: PUSH_PATH, isForeign: true };
    return { path: url.pathname + url.search, isForeign: false };
  }

  /** @throws {AgentError} not retryable where the edge does not take it, such as for a version that it does not have */
  async acknowledge({ version, checksum, error }: Acknowledgement, signal: CancelSignal): Promise<void> {
    const ok = error === null;
    const why = error === null ? undefined : error.slice(0, MAX_ERROR_CHARACTERS);
    const { instance } = this.#options;
    const body = new TextEncoder().encode(JSON.stringify({ version, checksum, ok, error: why, instance }));
    const fields = ["Content-Type", "application/json", "Content-Length", String(body.length)];
    await linkedTo(signal, async (cancel) => {
      const answer = await this.#ask("POST", ACK_PATH, fields, body, cancel);
      const { status, text } = await this.#wholeOf(answer, MAX_ANSWER_BYTES, cancel);
      if (status !== 204 && status !== 200) throw this.#refused("POST", ACK_PATH, status, text);
    });
  }

  /** Ends what runs. */
  close(): void {
    this.#client.close();
  }

  /** Asks once more with the token that stands in its file, where the edge refuses the one that is known. */
  async #ask(method: string, target: string, fields: Fields, body: Body, cancel: CancelSource): Promise<Answer> {
    const { token } = this.#options;
    const tried = token.current;
    const answer = await this.#askOnce(method, target, fields, body, cancel);
    if (answer.status !== 401 && answer.status !== 429) return answer;
    await token.refresh();
    if (token.current === tried) return answer;
    await this.#wholeOf(answer, MAX_ANSWER_BYTES, cancel).catch(() => {});
    return await this.#askOnce(method, target, fields, body, cancel);
  }

  async #askOnce(method: string, target: string, fields: Fields, body: Body, cancel: CancelSource): Promise<Answer> {
    const { edge, token, headTimeoutMs = DEFAULT_HEAD_TIMEOUT_MS } = this.#options;
    let isLate = false;
    const timer = this.#clock.after(headTimeoutMs, () => {
      isLate = true;
      cancel.abort(new Error("no answer"));
    });
    const head = {
      method,
      target,
      scheme: edge.target.tls === undefined ? "http" : "https",
      authority: edge.authority,
      fields: ["Authorization", `Bearer ${token.current}`, ...fields],
      client: "",
      id: "agent",
    } as const;
    try {
      return await this.#client.request(head, body, cancel);
    } catch (error) {
      const why = isLate ? `no answer to ${method} ${pathOf(target)} within ${headTimeoutMs} ms` : messageOf(error);
      throw this.#failed(why, error);
    } finally {
      timer.cancel();
    }
  }

  async #wholeOf(answer: Answer, maxBytes: number, cancel: CancelSource): Promise<{ status: number; text: string }> {
    const { status } = answer;
    const waitMs = this.#options.headTimeoutMs ?? DEFAULT_HEAD_TIMEOUT_MS;
    const timer = this.#clock.after(waitMs, () => cancel.abort(new Error(`it took over ${waitMs} ms`)));
    try {
      const collected = await collectBody(answer.body, maxBytes, new CollectBudget(maxBytes), cancel);
      if ("bytes" in collected) return { status, text: new TextDecoder().decode(collected.bytes) };
      throw this.#failed(`its answer is over ${maxBytes} bytes`);
    } catch (error) {
      if (error instanceof AgentError) throw error;
      throw this.#failed(`its answer broke off: ${messageOf(error)}`, error);
    } finally {
      timer.cancel();
    }
  }

  #failed(why: string, cause?: unknown): AgentError {
    return new AgentError("edge_unreachable", `Cannot ask the edge ${this.#options.edge.label}: ${why}`, cause);
  }

  #refused(method: string, path: string, status: number, text: string): AgentError {
    const told = problemOf(text);
    const { label } = this.#options.edge;
    if (status >= 300 && status < 400) {
      return new AgentError(
        "refused",
        `The edge ${label} answered ${method} ${path} with a redirect, which is not followed`,
      );
    }
    const detail = told?.detail ?? "it gave no reason";
    const code = told?.code ?? (status === 401 ? "unauthorized" : undefined);
    const reason = `The edge ${label} answered ${method} ${path} with ${status}: ${detail}`;
    return new AgentError(refusal(code, reason).code, reason, undefined, { retryable: !lastingStatuses.has(status) });
  }
}

/** Calls `act` with what cancels it, which `signal` does, too. */
async function linkedTo<T>(signal: CancelSignal, act: (cancel: CancelSource) => Promise<T>): Promise<T> {
  const cancel = new CancelSource();
  const onAbort = () => cancel.abort(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await act(cancel);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** The names and addresses of this machine are one: an edge without a domain calls itself localhost. */
function isSameOrigin(one: URL, other: URL): boolean {
  if (one.origin === other.origin) return true;
  const areHere = [one, other].every(({ hostname }) => isLoopback(withoutBrackets(hostname)));
  return areHere && one.protocol === other.protocol && one.port === other.port;
}

/** What the same request gets again. */
const lastingStatuses: ReadonlySet<number> = new Set([400, 404, 409, 413]);

function pathOf(target: string): string {
  return target.split("?", 1)[0]!;
}

function messageOf(error: unknown): string {
  const { reason } = error as { reason?: unknown };
  return typeof reason === "string" ? reason : error instanceof Error ? error.message : String(error);
}
