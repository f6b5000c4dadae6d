/**
 * Challenges by which a CA is shown that names are the edge's (RFC 8555 §8.3). The edge answers those of its own orders;
 * all others belong to whoever ordered a certificate, and go on to the tunnels.
 */
import type { Handler } from "../http/mod.ts";
import { hostOf } from "./router.ts";
import type { TrafficTable } from "./traffic_table.ts";

const CHALLENGE_PATH = "/.well-known/acme-challenge/";

/** The body for `GET http://host/.well-known/acme-challenge/token`; null where the edge has not ordered that. */
export type ChallengeAnswer = (host: string, token: string) => string | null;

/** `handler`, but for the challenges that `answerOf` knows. @param traffic what they are counted for */
export function answeringChallenges(
  handler: Handler,
  answerOf: ChallengeAnswer,
  traffic: Pick<TrafficTable, "own">,
): Handler {
  return (head, body, signal) => {
    const { method, target } = head;
    if (!target.startsWith(CHALLENGE_PATH) || method !== "GET") return handler(head, body, signal);
    const text = answerOf(hostOf(head.authority), target.slice(CHALLENGE_PATH.length));
    if (text === null) return handler(head, body, signal);
    head.meter?.countFor(traffic.own);
    const bytes = new TextEncoder().encode(text);
    const fields = ["Content-Type", "application/octet-stream", "Content-Length", String(bytes.length)];
    fields.push("Cache-Control", "no-store");
    return Promise.resolve({ status: 200, fields, body: bytes });
  };
}
