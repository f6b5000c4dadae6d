/**
 * An edge as managed agents see it: a real one for sessions and visitors, and in front of it the three routes of a node's
 * config, which the test scripts.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import { eventually } from "./net.ts";
import { publicSide, startTestEdge, token } from "./tunnel.ts";

/** What an agent sent to `/api/agent/ack`. */
export interface Ack {
  readonly version: number;
  readonly checksum: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly instance?: string;
}

/** Answers one request. Returns false where the usual answer is to be made. */
export type Route = (request: IncomingMessage, response: ServerResponse) => boolean;

export class ConfigEdge {
  readonly edge: Edge;
  readonly url: string;
  readonly acks: Ack[] = [];
  /** `GET /api/agent/config`, and its If-None-Match. */
  readonly polls: string[] = [];
  /** Streams of events that are open, and the URL and Last-Event-ID with which each was opened, closed ones included. */
  readonly streams = new Set<ServerResponse>();
  readonly opened: { readonly url: string; readonly lastEventId: string; readonly authorization: string }[] = [];
  /** Sees requests before the usual answers. */
  route: Route = () => false;
  token = token;
  tunnels: readonly object[] = [];
  version = 1;
  pollIntervalMs = 60_000;
  pushUrl: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(edge: Edge, server: Server) {
    this.edge = edge;
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.pushUrl = `${this.url}/api/agent/push`;
  }

  static async start(options: Partial<EdgeOptions> = {}): Promise<ConfigEdge> {
    const edge = await startTestEdge(options);
    let stage!: ConfigEdge;
    const server = createServer((request, response) => stage.#serve(request, response));
    server.on("connection", (socket) => {
      stage.#sockets.add(socket);
      socket.on("close", () => stage.#sockets.delete(socket)).on("error", () => {});
    });
    server.on("upgrade", (request, socket, head) => {
      const { port } = edge.address as { port: number };
      const behind = connect(port, "127.0.0.1", () => {
        const lines = [`${request.method} ${request.url} HTTP/1.1`];
        for (let index = 0; index < request.rawHeaders.length; index += 2) {
          lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
        }
        behind.write(`${lines.join("\r\n")}\r\n\r\n`);
        behind.write(head);
        socket.pipe(behind).pipe(socket);
      });
      for (const [one, other] of [[socket, behind], [behind, socket]] as const) {
        one.on("error", () => other.destroy()).on("close", () => other.destroy());
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return stage = new ConfigEdge(edge, server);
  }

  /** The public side of a tunnel. */
  visitor(name: string) {
    return publicSide(this.edge, name);
  }

  /** Makes another version, and tells every agent. */
  change(tunnels: readonly object[], version = this.version + 1): void {
    this.tunnels = tunnels;
    this.version = version;
    this.send("config_changed", { version, reason: "deploy" });
  }

  send(type: string, fields: object): void {
    const id = `boot-${this.#count++}`;
    for (const stream of this.streams) {
      stream.write(`event: ${type}\nid: ${id}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
    }
  }
  #count = 1;

  /** Resolves once `version` was acknowledged, to what was said of it last. */
  async acknowledged(version = this.version): Promise<Ack> {
    await eventually(() => this.acks.some((ack) => ack.version === version), { message: `an ack of ${version}` });
    return this.acks.findLast((ack) => ack.version === version)!;
  }

  /** Ends the links of all agents, and all their other connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await this.edge.close();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const [path] = (request.url ?? "").split("?");
    if (path === "/api/agent/config") this.polls.push(request.headers["if-none-match"] ?? "");
    if (this.route(request, response)) return;
    if (request.headers.authorization !== `Bearer ${this.token}`) return problem(response, 401, "unauthorized");
    if (path === "/api/agent/config") this.#config(request, response);
    else if (path === "/api/agent/push") this.#push(request, response);
    else if (path === "/api/agent/ack") this.#ack(request, response);
    else problem(response, 404, "not_found");
  }

  #config(request: IncomingMessage, response: ServerResponse): void {
    const etag = `"e-${this.version}"`;
    if (request.headers["if-none-match"] === etag) return void response.writeHead(304, { etag }).end();
    const { version, pushUrl, pollIntervalMs, tunnels } = this;
    const checksum = `sum-${version}`;
    response.writeHead(200, { etag, "content-type": "application/json" });
    response.end(JSON.stringify({ nodeId: "n1", version, checksum, pushUrl, pollIntervalMs, tunnels, later: true }));
  }

  #push(request: IncomingMessage, response: ServerResponse): void {
    const lastEventId = String(request.headers["last-event-id"] ?? "");
    this.opened.push({ url: request.url!, lastEventId, authorization: request.headers.authorization! });
    this.streams.add(response);
    response.on("close", () => this.streams.delete(response));
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write(": connected\n\n");
  }

  #ack(request: IncomingMessage, response: ServerResponse): void {
    const pieces: string[] = [];
    request.setEncoding("utf8").on("data", (piece) => pieces.push(piece)).on("end", () => {
      this.acks.push(JSON.parse(pieces.join("")));
      response.writeHead(204).end();
    });
  }
}

/** A tunnel as the config has it. */
export function configTunnel(name: string, upstream: string | number, more: object = {}): object {
  return { id: `t-${name}`, name, kind: "http", upstream: String(upstream), hostnames: [], ...more };
}

export function problem(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ status, code, detail: `said ${code}` }));
}
