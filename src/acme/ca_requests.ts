/** Requests to a CA, by our own client: its errors say what is wrong with a certificate, and its limits hold. */
import { CancelSource, type Clock, systemClock } from "../base/mod.ts";
import { collectBody, CollectBudget, type Fields } from "../http/mod.ts";
import { HttpClient } from "../http1/mod.ts";
import { bareHost } from "../net/mod.ts";
import { AcmeError } from "./issuer.ts";

export interface CaRequest {
  readonly method: string;
  readonly url: string;
  /** By name. */
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface CaAnswer {
  readonly status: number;
  /** By name in lower case; of several with the same name, the values with commas between them. */
  readonly fields: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface CaRequestsOptions {
  /** PEM: authorities that are trusted, in place of the system's. */
  readonly ca?: string;
  readonly clock?: Clock;
}

const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of an answer: directories, orders and chains are far smaller. */
export const MAX_ANSWER_BYTES = 256 * 1024;

/** Each request has a connection of its own: there are few, and a CA may close idle ones. */
export class CaRequests {
  readonly #ca: string | undefined;
  readonly #clock: Clock;

  constructor({ ca, clock = systemClock }: CaRequestsOptions) {
    this.#ca = ca;
    this.#clock = clock;
  }

  /** @throws {UpstreamError} where the CA cannot be asked @throws {AcmeError} where it is no `https` or its answer is too large */
  async send({ method, url: text, fields: given, body }: CaRequest): Promise<CaAnswer> {
    const url = new URL(text);
    if (url.protocol !== "https:") throw new AcmeError(`The CA names a URL that is not https: ${url.origin}`);
    const target = {
      kind: "tcp",
      host: bareHost(url.hostname),
      port: Number(url.port || 443),
      tls: { ca: this.#ca },
    } as const;
    const client = new HttpClient({ target, connectTimeoutMs: CONNECT_TIMEOUT_MS, clock: this.#clock });
    const cancel = new CancelSource();
    const timer = this.#clock.after(REQUEST_TIMEOUT_MS, () => {
      cancel.abort(new AcmeError(`It has not answered within ${REQUEST_TIMEOUT_MS / 1_000} s`));
    });
    const bytes = body === null ? null : new TextEncoder().encode(body);
    const fields = Object.entries(given).flat();
    if (bytes !== null) fields.push("Content-Length", String(bytes.length));
    const head = {
      method,
      target: url.pathname + url.search,
      scheme: "https",
      authority: url.host,
      fields,
      client: "",
      id: "",
    } as const;
    try {
      const answer = await client.request(head, bytes, cancel);
      const collected = await collectBody(answer.body, MAX_ANSWER_BYTES, new CollectBudget(MAX_ANSWER_BYTES), cancel);
      if (!("bytes" in collected)) throw new AcmeError(`Its answer is over ${MAX_ANSWER_BYTES} bytes`);
      return {
        status: answer.status,
        fields: recordOf(answer.fields),
        text: new TextDecoder().decode(collected.bytes),
      };
    } catch (error) {
      // The client knows only that it was canceled.
      throw cancel.aborted ? cancel.reason : error;
    } finally {
      timer.cancel();
      client.close();
    }
  }
}

function recordOf(fields: Fields): Record<string, string> {
  const record: Record<string, string> = {};
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!.toLowerCase();
    const value = fields[index + 1]!;
    record[name] = record[name] === undefined ? value : `${record[name]}, ${value}`;
  }
  return record;
}
