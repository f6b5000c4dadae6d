/** An agent of the JSON protocol, scripted by the test frame by frame, on a real link to a real edge. */
import type { Edge } from "../../src/edge/edge.ts";
import { dialWebSocket, type WebSocketClose, WebSocketConnection } from "../../src/websocket/mod.ts";
import { token } from "./tunnel.ts";

type Frame = Record<string, unknown>;

export class JsonAgent {
  readonly link: WebSocketConnection;
  readonly closed: Promise<WebSocketClose>;
  /** The frames that came and were not returned by `next()` yet. */
  readonly received: Frame[] = [];
  #wake: () => void = () => {};

  private constructor(link: WebSocketConnection) {
    this.link = link;
    this.closed = new Promise((resolve) => {
      link.handlers = {
        onMessage: (data) => {
          this.received.push(JSON.parse(data as string));
          this.#wake();
        },
        onDrain: () => {},
        onClose: resolve,
      };
    });
  }

  /** Connects, and does not register. @param edge or its port on 127.0.0.1 @param fields further ones of the handshake */
  static async dial(edge: Edge | number, fields: readonly string[] = []): Promise<JsonAgent> {
    const port = typeof edge === "number" ? edge : edge.address.port;
    const target = { kind: "tcp", host: "127.0.0.1", port } as const;
    const { socket, rest } = await dialWebSocket({ target, authority: `127.0.0.1:${port}`, path: "/agent", fields });
    // As many WebSocket libraries have it.
    const maxMessageBytes = 10 * 1024 * 1024;
    const handlers = { onMessage() {}, onDrain() {}, onClose() {} };
    return new JsonAgent(
      new WebSocketConnection(socket, { role: "client", accept: "text", maxMessageBytes, rest, handlers }),
    );
  }

  /** Connects and registers as `name`. Without `features` it is an agent that knows the first frames alone. */
  static async register(edge: Edge, name = "old", more: Frame = {}): Promise<JsonAgent> {
    const agent = await JsonAgent.dial(edge);
    const answer = await agent.ask({ type: "register", tunnel_id: name, agent_token: token, ...more });
    if (answer.type !== "registered") throw new Error(`not registered: ${JSON.stringify(answer)}`);
    return agent;
  }

  send(frame: Frame): boolean {
    return this.link.sendText(JSON.stringify(frame));
  }

  /** Sends, and waits for the next frame. */
  ask(frame: Frame): Promise<Frame> {
    this.send(frame);
    return this.next();
  }

  /** The next frame; rejects where the link closes before. */
  async next(): Promise<Frame> {
    let close: WebSocketClose | null = null;
    void this.closed.then((info) => {
      close = info;
      this.#wake();
    });
    while (this.received.length === 0) {
      if (close !== null) throw new Error(`the edge closed the link: ${JSON.stringify(close)}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.received.shift() as Frame;
  }

  /** Answers every request with the whole answer that `answer` makes of it, until the link closes. */
  async serve(answer: (request: Frame) => Frame): Promise<void> {
    try {
      for (;;) {
        const request = await this.next();
        if (request.type === "http_request") {
          this.send({ type: "http_response", request_id: request.request_id, ...answer(request) });
        }
      }
    } catch {
      // The link was closed.
    }
  }

  close(): void {
    this.link.abort();
  }
}
