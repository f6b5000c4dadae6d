/**
 * Makes connections of HTTP requests: one side asks for an upgrade to a WebSocket, the other one answers. Who may
 * connect, and what else the two heads say, is decided by the caller.
 */
import { randomBytes } from "node:crypto";
import type { Answer, Fields, RequestHead } from "../http/mod.ts";
import { checkUpgrade, dialWebSocket, HandshakeError, type WebSocketDialOptions } from "../websocket/mod.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./options.ts";
import { WebSocketLink } from "./web_socket_link.ts";

/** The subprotocol of the WebSockets that carry this protocol. */
export const SUBPROTOCOL = "runnel.v2";

/** Turns an HTTP request into a connection. */
export interface ResponseUpgrader {
  /**
   * The answer to a request that asks for a connection: a 101, after which `onConnection` is called with it; or a 400
   * or 426 whose body says why, and `onConnection` is never called.
   *
   * @param fields sent with the 101, beside the handshake's own. Default none.
   */
  upgradeResponse(head: RequestHead, onConnection: (connection: Connection) => void, fields?: Fields): Answer;
}

/** Asks for a connection. */
export interface UpgradeRoundTripper {
  /**
   * Dials, asks for the upgrade, checks the answer and takes the socket over.
   *
   * @throws {SocketError} where the dial fails or is aborted
   * @throws {HandshakeError} where the answer is no 101, or not for this protocol; it holds status, fields and body
   */
  connect(target: Omit<WebSocketDialOptions, "protocols">): Promise<UpgradedConnection>;
}

export interface UpgradedConnection {
  readonly connection: Connection;
  /** The fields of the 101. */
  readonly fields: Fields;
}

/** The options of the connections that are made. The role follows from the side. */
export type UpgradeOptions = Omit<ConnectionOptions, "role">;

/** The edge's side, for requests that an `HttpServer` got. */
export class WebSocketUpgrader implements ResponseUpgrader {
  readonly #options: UpgradeOptions;

  constructor(options: UpgradeOptions = {}) {
    this.#options = options;
  }

  upgradeResponse(head: RequestHead, onConnection: (connection: Connection) => void, fields: Fields = []): Answer {
    const check = checkUpgrade(head, { protocols: [SUBPROTOCOL] });
    if (!check.accepted) return refusal(check.status, check.reason, check.fields);
    if (check.protocol === null) return refusal(400, `The request does not offer ${SUBPROTOCOL}`, []);
    return {
      status: 101,
      upgrade: "websocket",
      fields: [...check.fields, ...freshSession(), ...fields],
      body: null,
      takeSocket: (socket, rest) => {
        const link = new WebSocketLink(socket, { role: "server", rest, clock: this.#options.clock });
        onConnection(new Connection(link, { ...this.#options, role: "edge" }));
      },
    };
  }
}

/** The agent's side. */
export class WebSocketRoundTripper implements UpgradeRoundTripper {
  readonly #options: UpgradeOptions;

  constructor(options: UpgradeOptions = {}) {
    this.#options = options;
  }

  async connect(target: Omit<WebSocketDialOptions, "protocols">): Promise<UpgradedConnection> {
    const { clock } = this.#options;
    const { socket, rest, fields, protocol } = await dialWebSocket({ clock, ...target, protocols: [SUBPROTOCOL] });
    if (protocol === null) {
      socket.reset();
      const reason = `The server opened a WebSocket without the subprotocol ${SUBPROTOCOL}`;
      throw new HandshakeError({ code: "handshake_invalid", reason }, { status: 101, fields });
    }
    const link = new WebSocketLink(socket, { role: "client", rest, clock });
    return { connection: new Connection(link, { ...this.#options, role: "agent" }), fields };
  }
}

/**
 * The fields of a 101 that name a new session: 128 random bits, and 0 as the milliseconds for which it outlives a lost
 * link. An agent that asked to resume an earlier session sees by the new name that it is gone.
 */
function freshSession(): Fields {
  return ["Runnel-Session", randomBytes(16).toString("hex"), "Runnel-Resume-Timeout", "0"];
}

function refusal(status: number, reason: string, fields: Fields): Answer {
  const body = new TextEncoder().encode(`${reason}\n`);
  return {
    status,
    fields: [...fields, "Content-Type", "text/plain; charset=utf-8", "Content-Length", String(body.length)],
    body,
    upgrade: status === 426 ? "websocket" : undefined,
  };
}
