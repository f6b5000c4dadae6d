/** The connection that an exchange is on, as the exchange sees it. */
import type { Timeout } from "../../base/mod.ts";
import type { RequestHead } from "../../http/mod.ts";
import type { Socket } from "../../net/mod.ts";
import type { HttpServerOptions } from "./options.ts";

/** How a connection goes on after an exchange. */
export type ExchangeEnd =
  /** With the next request: the answer promised that. */
  | "next"
  /** It closes; the whole request was read. */
  | "close"
  /** It closes, and the rest of the request is discarded. */
  | "linger";

/** The connection, as its exchange sees it. */
export interface ExchangeHost {
  readonly socket: Socket;
  readonly options: HttpServerOptions;
  /** Of the connection, where connections have names. */
  readonly name: string | undefined;
  /** Of the request's body, then of a half-closed client. The connection calls `timedOut`. */
  readonly timeout: Timeout;
  readonly isDraining: boolean;
  /** The client's FIN came. */
  readonly hasClientEnded: boolean;
  /** An earlier request was answered. */
  readonly hasAnswered: boolean;
  /** Resumes or pauses the socket, as `wantsBytes` now says. */
  updateFlow(): void;
  /** Adds bytes that were read behind the request to the end of the read-ahead. */
  pushReadAhead(bytes: Uint8Array): void;
  /** Takes the first bytes of the read-ahead; null where it is empty. */
  shiftReadAhead(): Uint8Array | null;
  /** Puts bytes that do not belong to the request back to the beginning of the read-ahead. */
  unshiftReadAhead(bytes: Uint8Array): void;
  exchangeOver(end: ExchangeEnd): void;
  /** Answers a request that cannot be read to its end, then closes. */
  refuse(error: unknown, head: RequestHead): void;
  /** Gives the socket away, with the read-ahead. */
  giveSocketTo(take: (socket: Socket, rest: Uint8Array) => void): void;
}
