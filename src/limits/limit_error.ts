/**
 * What a visitor is told who is past a limit: Retry-After (RFC 9110 §10.2.3), and the fields `RateLimit-Policy` and
 * `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11.
 *
 *     Retry-After: 2
 *     RateLimit-Policy: "visitor-rate";q=100;w=5      100 requests at once, which come back within 5 s
 *     RateLimit: "visitor-rate";r=0;t=2               none is left, and the next one comes within 2 s
 */
import { nameErrorClass } from "../base/mod.ts";
import { ExchangeError, type Fields, type ProblemCode } from "../http/mod.ts";
import { type Rate, refillSeconds } from "./rate.ts";

/** Whose limit it is. A visitor is told to slow down; nobody alone can help that a tunnel is busy. */
export type Party = "visitor" | "tunnel";

const codes: Readonly<Record<Party, ProblemCode>> = { visitor: "too_many_requests", tunnel: "tunnel_busy" };
const subjects: Readonly<Record<Party, string>> = { visitor: "You send", tunnel: "The tunnel gets" };

/** Until a place may be free: nobody knows when a request ends. */
const PLACE_SECONDS = 1;

export class LimitError extends ExchangeError {
  static {
    nameErrorClass(this, "LimitError");
  }

  readonly party: Party;
  /** The name of the policy, and of the flag that sets the limit: `visitor-rate`. */
  readonly limit: string;

  private constructor(party: Party, limit: string, what: string, fields: Fields) {
    super(codes[party], `${subjects[party]} more ${what} than are allowed`, { fields });
    this.party = party;
    this.limit = limit;
  }

  /** @param waitMs until a request may be sent */
  static ofRate(party: Party, rate: Rate, waitMs: number): LimitError {
    const limit = `${party}-rate`;
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    return new LimitError(party, limit, "requests", [
      ...["Retry-After", String(seconds)],
      ...["RateLimit-Policy", `"${limit}";q=${rate.burst};w=${refillSeconds(rate)}`],
      ...["RateLimit", `"${limit}";r=0;t=${seconds}`],
    ]);
  }

  /** @param most that there may be at once */
  static ofPlaces(party: Party, what: "concurrency" | "websockets", most: number): LimitError {
    const limit = `${party}-${what}`;
    const things = what === "concurrency" ? "requests at once" : "WebSockets at once";
    return new LimitError(party, limit, things, [
      ...["Retry-After", String(PLACE_SECONDS)],
      ...["RateLimit-Policy", `"${limit}";q=${most};qu="concurrent-requests"`],
      ...["RateLimit", `"${limit}";r=0`],
    ]);
  }
}
