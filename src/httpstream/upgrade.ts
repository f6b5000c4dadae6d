/**
 * Makes connections of HTTP requests: one side asks for an upgrade to a WebSocket, the other one answers. Who may
 * connect, and what else the two heads say, is decided by the caller.
 */
import { randomBytes } from "node:crypto";
import type { Answer, Fields, RequestHead } from "../http/mod.ts";
import { checkUpgrade, dialWebSocket, HandshakeError, type WebSocketDialOptions } from "../websocket/mod.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./options.ts";
import { resumeRequestFields, type SessionAnswer, sessionAnswerFields, sessionAnswerOf } from "./resume_fields.ts";
import { ResumePoint } from "./resume_point.ts";
import { WebSocketLink } from "./web_socket_link.ts";

/** The subprotocol of the WebSockets that carry this protocol. */
export const SUBPROTOCOL = "runnel.v2";

/** Turns an HTTP request into a connection. */
export interface ResponseUpgrader {
  /**
   * The answer to a request that asks for a connection: a 101, after which `onConnection` is called with it; or a 400
   * or 426 whose body says why, and `onConnection` is never called.
   *
   * @param onConnection the point is where the peer comes back to the connection after a lost link
   * @param fields sent with the 101, beside the handshake's own. Default none.
   */
  upgradeResponse(
    head: RequestHead,
    onConnection: (connection: Connection, point: ResumePoint) => void,
    fields?: Fields,
  ): Answer;

  /**
   * The answer to a request that comes back to a connection: a 101 whose link takes the place of the one before; or a
   * 400 or 426. The epoch must be above that of the point, and the connection able to resume with `received`.
   *
   * @param fields as for `upgradeResponse`
   */
  resumeResponse(
    head: RequestHead,
    point: ResumePoint,
    request: { readonly epoch: number; readonly received: number },
    fields?: Fields,
  ): Answer;
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

  /**
   * Dials for a connection that is suspended, and gives it the new link. Returns false where the other side does not know
   * it any more: that dial has been closed again then. Where the connection has ended meanwhile, the link is given up.
   *
   * @param epoch above that of every earlier dial for this connection
   * @throws as `connect`
   */
  resume(
    upgraded: UpgradedConnection,
    epoch: number,
    target: Omit<WebSocketDialOptions, "protocols">,
  ): Promise<boolean>;
}

export interface UpgradedConnection {
  readonly connection: Connection;
  /** The fields of the 101. */
  readonly fields: Fields;
  /** What they say of the session. */
  readonly session: SessionAnswer;
}

/**
 * The options of the connections that are made. The role follows from the side. `resumeTimeoutMs` of the side that dials
 * is the most that it takes: the other side says how long it waits.
 */
export type UpgradeOptions = Omit<ConnectionOptions, "role">;

/** The edge's side, for requests that an `HttpServer` got. */
export class WebSocketUpgrader implements ResponseUpgrader {
  readonly #options: UpgradeOptions;

  constructor(options: UpgradeOptions = {}) {
    this.#options = options;
  }

  upgradeResponse(
    head: RequestHead,
    onConnection: (connection: Connection, point: ResumePoint) => void,
    fields: Fields = [],
  ): Answer {
    // 128 random bits: an agent that asked to resume an earlier session sees by another name that it is gone.
    const session = randomBytes(16).toString("hex");
    return this.#switchProtocols(head, session, undefined, fields, (link) => {
      const connection = new Connection(link, { ...this.#options, role: "edge" });
      onConnection(connection, new ResumePoint(session, connection));
    });
  }

  resumeResponse(
    head: RequestHead,
    point: ResumePoint,
    { epoch, received }: { readonly epoch: number; readonly received: number },
    fields: Fields = [],
  ): Answer {
    return this.#switchProtocols(head, point.session, () => point.take(epoch), fields, (link) => {
      point.attach(link, epoch, received);
    });
  }

  /** @param take called once the handshake is accepted: counted frames that were received, of a resumed session */
  #switchProtocols(
    head: RequestHead,
    session: string,
    take: (() => number) | undefined,
    fields: Fields,
    onLink: (link: WebSocketLink) => void,
  ): Answer {
    const check = checkUpgrade(head, { protocols: [SUBPROTOCOL] });
    if (!check.accepted) return refusal(check.status, check.reason, check.fields);
    if (check.protocol === null) return refusal(400, `The request does not offer ${SUBPROTOCOL}`, []);
    const { clock, resumeTimeoutMs = 0 } = this.#options;
    return {
      status: 101,
      upgrade: "websocket",
      fields: [...check.fields, ...sessionAnswerFields(session, resumeTimeoutMs, take?.()), ...fields],
      body: null,
      takeSocket: (socket, rest) => onLink(new WebSocketLink(socket, { role: "server", rest, clock })),
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
    const { makeLink, fields } = await this.#dial(target);
    const session = sessionAnswerOf(fields);
    const { resumeTimeoutMs: mostMs = 0 } = this.#options;
    const resumeTimeoutMs = session.session === "" ? 0 : Math.min(session.resumeTimeoutMs, mostMs);
    const connection = new Connection(makeLink(), { ...this.#options, role: "agent", resumeTimeoutMs });
    return { connection, fields, session };
  }

  async resume(
    { connection, session: { session } }: UpgradedConnection,
    epoch: number,
    target: Omit<WebSocketDialOptions, "protocols">,
  ): Promise<boolean> {
    const asked = resumeRequestFields({ session, received: connection.receivedFrames, epoch });
    const { makeLink, fields } = await this.#dial({ ...target, fields: [...target.fields ?? [], ...asked] });
    const answer = sessionAnswerOf(fields);
    if (answer.session === session) {
      connection.resume(makeLink(), answer.received ?? NaN);
      return true;
    }
    // The other side has a fresh session now. It must not wait for that one's return, too.
    new Connection(makeLink(), { ...this.#options, role: "agent", resumeTimeoutMs: 0 }).close();
    return false;
  }

  /** The link is made by whoever sets its handlers at once. */
  async #dial(
    target: Omit<WebSocketDialOptions, "protocols">,
  ): Promise<{ makeLink: () => WebSocketLink; fields: Fields }> {
    const { clock } = this.#options;
    const { socket, rest, fields, protocol } = await dialWebSocket({ clock, ...target, protocols: [SUBPROTOCOL] });
    if (protocol === null) {
      socket.reset();
      const reason = `The server opened a WebSocket without the subprotocol ${SUBPROTOCOL}`;
      throw new HandshakeError({ code: "handshake_invalid", reason }, { status: 101, fields });
    }
    return { makeLink: () => new WebSocketLink(socket, { role: "client", rest, clock }), fields };
  }
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
