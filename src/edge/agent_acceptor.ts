/** `GET /agent`: the upgrade behind which an agent's session lives, by the subprotocol that it offers. */
import type { Clock } from "../base/mod.ts";
import type { Session } from "../session/mod.ts";
import { type Answer, type Fields, fieldValue, type Handler, problemAnswer, type RequestHead } from "../http/mod.ts";
import type { MemoryAccount } from "../httpstream/mod.ts";
import type { Socket } from "../net/mod.ts";
import { checkUpgrade } from "../websocket/mod.ts";
import type { AgentIdentity } from "./agent_api.ts";
import { BinaryDoor } from "./v2_acceptor.ts";
import { JsonDoor, type JsonDoorOptions } from "./json_acceptor.ts";
import { GuessLimiter, type TokenCheck } from "./tokens.ts";
import type { Tunnels } from "./tunnels.ts";
import { serves, versionFieldName } from "../config/mod.ts";

/** The subprotocol of the binary multiplexer. */
export const binaryProtocol = "runnel.v2";

export interface AgentDoorsOptions {
  version: string;
  tunnels: Tunnels;
  checkToken: TokenCheck;
  urlOf(name: string): string;
  /** Serves what a `runnel.v2` agent asks on a stream of its own. */
  agentRoutes(agent: AgentIdentity): Handler;
  onTunnel(session: Session, name: string): void;
  onError(error: unknown): void;
  memory: MemoryAccount;
  json?: Pick<JsonDoorOptions, "session" | "registerTimeoutMs" | "maxStrangers" | "maxFrameBytes">;
  clock: Clock;
}

export class AgentDoors {
  readonly #options: AgentDoorsOptions;
  readonly #json: JsonDoor;
  readonly #binary: BinaryDoor;
  /** Those that run, whether they serve a tunnel or not. */
  readonly #sessions = new Set<Session>();
  #admitted = 0;

  constructor(options: AgentDoorsOptions) {
    this.#options = options;
    const guesses = new GuessLimiter(options.clock);
    const shared = { ...options, guesses, nextSessionId: () => `s${++this.#admitted}` };
    this.#binary = new BinaryDoor({ ...shared, onSession: (session) => this.#keep(session) });
    this.#json = new JsonDoor({
      ...options.json,
      ...shared,
      onSession: (session, name) => {
        this.#keep(session);
        options.onTunnel(session, name);
      },
    });
  }

  /** The answer to an agent that asks to come in. */
  admit(head: RequestHead): Answer {
    const check = checkUpgrade(head, { protocols: [binaryProtocol] });
    if (!check.accepted) {
      return problemAnswer(check.status === 426 ? "upgrade_required" : "bad_request", check.reason, check.fields);
    }
    if (check.protocol === null) {
      return upgraded(check.fields, (socket, rest) => this.#json.enter(socket, rest, head.client));
    }
    const { version } = this.#options;
    const theirs = fieldValue(head.fields, versionFieldName.toLowerCase());
    if (theirs !== undefined && !serves(version, theirs)) {
      const detail =
        `this edge is ${version} and serves agents of its own and of the previous minor version, not ${theirs}`;
      return problemAnswer("version_mismatch", detail, [versionFieldName, version]);
    }
    const entry = this.#binary.check(head);
    if (!("owner" in entry)) return problemAnswer(entry.code, entry.detail);
    return upgraded(
      [...check.fields, ...entry.fields, versionFieldName, version],
      (socket, rest) => this.#binary.enter(socket, rest, entry),
    );
  }

  /** Closes the links that have not become sessions. */
  dismissStrangers(): void {
    this.#json.close();
  }

  /** Lets each session finish what runs on it. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#sessions, (session) => session.drain()));
  }

  /** Ends every session now. */
  close(reason: string): void {
    for (const session of this.#sessions) session.close(reason);
  }

  #keep(session: Session): void {
    this.#sessions.add(session);
    void session.closed.then(() => this.#sessions.delete(session));
  }
}

function upgraded(fields: Fields, takeSocket: (socket: Socket, rest: Uint8Array) => void): Answer {
  return { status: 101, fields, body: null, upgrade: "websocket", takeSocket };
}
