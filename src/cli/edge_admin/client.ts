/** Asks an edge's admin API, for the commands. */
import { join } from "node:path";
import { CancelSource, nameErrorClass, RunnelError } from "../../base/mod.ts";
import { defaultDataFolder, readIfExists } from "../../config/mod.ts";
import { type Answer, collectBody, CollectBudget, fieldValue, UpstreamError } from "../../http/mod.ts";
import { HttpClient } from "../../http1/mod.ts";
import type { ProgramHost } from "../host.ts";

/** The admin API refused something, or could not be asked. `code` is that of its problem, or `edge_unreachable`. */
export class AdminError extends RunnelError {
  static {
    nameErrorClass(this, "AdminError");
  }

  constructor(code: string, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "user", cause });
  }
}

/** Of an answer that is read whole. */
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
const TIMEOUT_MS = 30_000;

export class AdminClient {
  readonly #url: URL;
  readonly #token: string;
  readonly #http: HttpClient;

  constructor(url: URL, token: string) {
    this.#url = url;
    this.#token = token;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    this.#http = new HttpClient({
      target: { kind: "tcp", host, port: Number(url.port || 80) },
      firstByteMs: TIMEOUT_MS,
    });
  }

  /** @throws {AdminError} where there is no token, which says where it was looked for */
  static async of(options: { readonly admin: URL; readonly data?: string }, host: ProgramHost): Promise<AdminClient> {
    const given = host.environment("RUNNEL_ADMIN_TOKEN") ?? "";
    if (given !== "") return new AdminClient(options.admin, given);
    const file = join(options.data ?? defaultDataFolder(host), "admin-token");
    const kept = (await readToken(file))?.trim() ?? "";
    if (kept === "") throw new AdminError("unauthorized", `There is no admin token in ${file} or RUNNEL_ADMIN_TOKEN`);
    return new AdminClient(options.admin, kept);
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
    const text = await textOf(answer);
    if (answer.status >= 400) throw problemOf(answer, text);
    return text === "" ? null : JSON.parse(text);
  }

  /** The body of an answer, as it comes. @throws {AdminError} */
  async *read(path: string, type: string): AsyncGenerator<Uint8Array> {
    const answer = await this.#send("GET", path, null, type);
    if (answer.status >= 400) throw problemOf(answer, await textOf(answer));
    if (answer.body !== null) yield* answer.body instanceof Uint8Array ? [answer.body] : answer.body;
  }

  /** Ends what runs: it fails. */
  close(): void {
    this.#http.close();
  }

  async #send(method: string, path: string, content: Uint8Array | null, accept: string): Promise<Answer> {
    const fields = ["Authorization", `Bearer ${this.#token}`, "Accept", accept];
    if (content !== null) fields.push("Content-Type", "application/json");
    const head = {
      method,
      target: path,
      scheme: "http",
      authority: this.#url.host,
      fields,
      client: "",
      id: "",
    } as const;
    try {
      return await this.#http.request(head, content, new CancelSource());
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      throw new AdminError(
        "edge_unreachable",
        `The admin API ${this.#url.origin} cannot be asked: ${error.reason}`,
        error,
      );
    }
  }
}

async function readToken(file: string): Promise<string | null> {
  try {
    return await readIfExists(file);
  } catch (cause) {
    throw new AdminError(
      "unauthorized",
      `The admin token in ${file} cannot be read: ${(cause as Error).message}`,
      cause,
    );
  }
}

async function textOf({ body }: Answer): Promise<string> {
  const collected = await collectBody(body, MAX_ANSWER_BYTES, new CollectBudget(MAX_ANSWER_BYTES));
  if ("bytes" in collected) return new TextDecoder().decode(collected.bytes);
  throw new AdminError("refused", `The admin API's answer is over ${MAX_ANSWER_BYTES} bytes`);
}

/** The problem in an answer. Another program than an edge may have answered. */
function problemOf({ status, fields }: Answer, text: string): AdminError {
  if (/^application\/problem\+json/i.test(fieldValue(fields, "content-type") ?? "")) {
    const { code, detail } = JSON.parse(text) as { code: string; detail: string };
    return new AdminError(code, detail);
  }
  return new AdminError("edge_unreachable", `What answers there is no admin API: its status was ${status}`);
}
