/** Asks an edge's admin API, for the commands. */
import { join } from "node:path";
import { type CancelSignal, CancelSource, messageOf } from "../../base/mod.ts";
import { defaultDataFolder, readIfExists, tokenFault } from "../../config/mod.ts";
import {
  type Answer,
  type Body,
  cancelBody,
  collectBody,
  CollectBudget,
  fieldValue,
  hasMediaType,
  UpstreamError,
} from "../../http/mod.ts";
import { HttpClient } from "../../http1/mod.ts";
import { bareHost, type DialTarget, isLoopback } from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";
import { AdminError } from "../admin_error.ts";
import type { ProgramHost } from "../host.ts";

export { AdminError };

/** Of an answer that is read whole. */
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
const TIMEOUT_MS = 30_000;

export class AdminClient {
  /** For messages: `http://127.0.0.1:4480`. */
  readonly #label: string;
  readonly #authority: string;
  readonly #token: string;
  readonly #http: HttpClient;

  /** @param url `http://HOST:PORT` or `unix:PATH` */
  constructor(url: URL, token: string) {
    const isUnix = url.protocol === "unix:";
    this.#label = isUnix ? url.href : url.origin;
    this.#authority = isUnix ? "localhost" : url.host;
    this.#token = token;
    this.#http = new HttpClient({ target: targetOf(url), firstByteMs: TIMEOUT_MS });
  }

  /** @throws {AdminError} where there is no token, which says where it was looked for */
  static async of(options: { readonly admin: URL; readonly data?: string }, host: ProgramHost): Promise<AdminClient> {
    const { admin } = options;
    if (admin.protocol === "http:" && !isLoopback(bareHost(admin.hostname))) {
      const what = "The admin's token goes to {url} without encryption: better forward the port, as ssh -L does";
      logger("admin").warn(what, { url: admin.origin });
    }
    const given = host.environment("RUNNEL_ADMIN_TOKEN") ?? "";
    if (given !== "") return new AdminClient(admin, checked(given, "RUNNEL_ADMIN_TOKEN"));
    const file = join(options.data ?? defaultDataFolder(host), "admin-token");
    const kept = (await readToken(file))?.trim() ?? "";
    if (kept === "") throw new AdminError("unauthorized", `There is no admin token in ${file} or RUNNEL_ADMIN_TOKEN`);
    return new AdminClient(admin, checked(kept, file));
  }

  /**
   * Sends a request, and resolves to the JSON of its answer; to null where that has no body.
   *
   * @param body is sent as JSON; undefined: none
   * @throws {AdminError}
   */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const content = body === undefined ? null : new TextEncoder().encode(JSON.stringify(body));
    const answer = await this.#send(method, path, content, "application/json");
    const text = await this.#textOf(answer);
    if (answer.status === 204) return null;
    const json = hasType(answer, "application/json") ? parsed(text) : undefined;
    if (json === undefined) throw this.#noAdminApi(answer);
    return json;
  }

  /**
   * The body of an answer, as it comes.
   *
   * @param signal ends the request, also while nothing comes. Default: it is left to the caller.
   * @throws {AdminError}
   */
  async *read(path: string, type: string, signal: CancelSignal = new CancelSource()): AsyncGenerator<Uint8Array> {
    const answer = await this.#send("GET", path, null, type, signal);
    if (!hasType(answer, type)) {
      cancelBody(answer.body, new TypeError("It is of another media type"));
      throw this.#noAdminApi(answer);
    }
    try {
      yield* chunksOf(answer.body);
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  close(): void {
    this.#http.close();
  }

  /** Resolves to the answer where its status is a success. */
  async #send(
    method: string,
    path: string,
    content: Uint8Array | null,
    accept: string,
    signal: CancelSignal = new CancelSource(),
  ): Promise<Answer> {
    const fields = ["Authorization", `Bearer ${this.#token}`, "Accept", `${accept}, application/problem+json`];
    if (content !== null) fields.push("Content-Type", "application/json");
    const head = {
      method,
      target: path,
      scheme: "http",
      authority: this.#authority,
      fields,
      client: "",
      id: "",
    } as const;
    let answer: Answer;
    try {
      answer = await this.#http.request(head, content, signal);
    } catch (error) {
      throw this.#unreachable(error);
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw this.#problemOf(answer, await this.#textOf(answer));
  }

  async #textOf({ body }: Answer): Promise<string> {
    let collected: Awaited<ReturnType<typeof collectBody>>;
    try {
      collected = await collectBody(body, MAX_ANSWER_BYTES, new CollectBudget(MAX_ANSWER_BYTES));
    } catch (error) {
      throw this.#unreachable(error);
    }
    if ("bytes" in collected) return new TextDecoder().decode(collected.bytes);
    throw new AdminError("refused", `The admin API's answer is over ${MAX_ANSWER_BYTES} bytes`);
  }

  /** The problem in an answer. Another program than an edge may have answered, or the edge's public listener. */
  #problemOf(answer: Answer, text: string): AdminError {
    const problem = hasType(answer, "application/problem+json") ? parsed(text) : null;
    const { code, detail } = (problem ?? {}) as { readonly code?: unknown; readonly detail?: unknown };
    // The admin API has every path that the commands ask.
    const isForeign = typeof code !== "string" || typeof detail !== "string" || code === "not_found";
    return isForeign ? this.#noAdminApi(answer) : new AdminError(code, detail);
  }

  #noAdminApi({ status }: Answer): AdminError {
    return new AdminError(
      "edge_unreachable",
      `What answers at ${this.#label} is no admin API: its status was ${status}`,
    );
  }

  /** What the connection failed with, as an error of this client; any other error as it is. */
  #unreachable(error: unknown): unknown {
    if (!(error instanceof UpstreamError)) return error;
    return new AdminError("edge_unreachable", `The admin API ${this.#label} cannot be asked: ${error.reason}`, error);
  }
}

function targetOf(url: URL): DialTarget {
  if (url.protocol === "unix:") return { kind: "unix", path: decoded(url.pathname) };
  return { kind: "tcp", host: bareHost(url.hostname), port: Number(url.port || 80) };
}

/** A URL has encoded what it cannot hold, but for a percent sign. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** `token`, which can stand in a field. */
function checked(token: string, from: string): string {
  const fault = tokenFault(token);
  if (fault !== null) throw new AdminError("unauthorized", `The admin token in ${from} ${fault}`);
  return token;
}

async function readToken(file: string): Promise<string | null> {
  try {
    return await readIfExists(file);
  } catch (cause) {
    const reason = `The admin token in ${file} cannot be read: ${messageOf(cause)}`;
    throw new AdminError("unauthorized", reason, cause);
  }
}

function hasType({ fields }: Answer, type: string): boolean {
  return hasMediaType(fieldValue(fields, "content-type"), type);
}

/** Undefined where the text is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* chunksOf(body: Body): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  if (body instanceof Uint8Array) return yield body;
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}
