/** What the code of this folder needs of a multiplexer's connection, whichever class it is. */
import type { Connection } from "../../httpstream/mod.ts";

export type SessionConnection = Pick<
  Connection,
  | "createStream"
  | "peerFeatures"
  | "streams"
  | "bufferedBytes"
  | "sentBytes"
  | "receivedBytes"
  | "rttMs"
  | "draining"
  | "peerLeaving"
  | "isSuspended"
  | "suspendedMs"
  | "keptBytes"
  | "suspensionHandlers"
  | "endWithLink"
  | "ended"
  | "closed"
  | "ping"
  | "announceDrain"
  | "drain"
  | "close"
>;
