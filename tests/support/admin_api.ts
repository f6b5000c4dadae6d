/** A client of an edge's admin API, on a real socket. It shares no code with the programs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface AdminAnswer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

export class AdminApi {
  readonly #url: string;
  readonly #token: string;

  /** @param address `127.0.0.1:4480` */
  constructor(address: string, token: string) {
    this.#url = `http://${address}`;
    this.#token = token;
  }

  /** @param data the edge's data folder, which holds the token */
  static async of(address: string, data: string): Promise<AdminApi> {
    return new AdminApi(address, (await readFile(join(data, "admin-token"), "utf8")).trim());
  }

  /** @param path below `/api/v1/` */
  async ask(method: string, path: string, body?: unknown): Promise<AdminAnswer> {
    const response = await fetch(`${this.#url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, json: text === "" ? {} : JSON.parse(text) };
  }

  /** The same for what must succeed: resolves to the answer's JSON. */
  async do(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const { status, json } = await this.ask(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** The text of `GET path`, which is no JSON, such as `/metrics`. */
  async read(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(this.#url + path, { headers: { authorization: `Bearer ${this.#token}` } });
    return { status: response.status, text: await response.text() };
  }

  /** The body of `GET path` as it comes, such as that of `/api/v1/events`. */
  async open(path: string, accept: string): Promise<ReadableStream<Uint8Array>> {
    const response = await fetch(this.#url + path, { headers: { authorization: `Bearer ${this.#token}`, accept } });
    return response.body!;
  }

  /** The status of `GET path` without a token. */
  async probe(path: string): Promise<number> {
    const response = await fetch(this.#url + path);
    await response.text();
    return response.status;
  }

  /** Enrols a node. Resolves to its token. */
  async addNode(name: string): Promise<string> {
    return String((await this.do("POST", "nodes", { name })).token);
  }

  /** @param more keys of the tunnel, such as `hostnames` */
  async addTunnel(name: string, nodes: readonly string[], more: object = {}): Promise<void> {
    await this.do("POST", "tunnels", { name, nodes, upstream: "http://127.0.0.1:3000", ...more });
  }
}
