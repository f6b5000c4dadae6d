/**
 * Who may ask the admin API: programs with its token. A page in a browser on the same machine can reach the listener,
 * too, so that its Host (against DNS rebinding) and its Origin are checked, and no CORS field is ever sent.
 */
import type { MiddlewareHandler } from "hono";
import { isIP } from "node:net";
import type { CancelSignal } from "../base/mod.ts";
import { bareHost } from "../net/mod.ts";
import { tokenId } from "../store/mod.ts";
import { addressOf } from "./actor.ts";
import { Refusal } from "./problems.ts";

export interface GuardOptions {
  /** True for the token of an administrator. In constant time. */
  checkToken(token: string): boolean;
  /**
   * Counts a wrong token, and resolves when it is to be answered, with the code of the answer. Default: at once.
   *
   * @param address that asks; empty where there is none, as on a unix socket
   * @param signal aborts when whoever asks has gone
   */
  refuseToken?(address: string, signal: CancelSignal): Promise<"unauthorized" | "too_many_attempts">;
  /** Names, beside `localhost` and addresses, by which the listener may be asked; in lower case. */
  hosts: readonly string[];
}

const CHALLENGE = ["WWW-Authenticate", 'Bearer realm="runnel admin"'];

export function guard({ checkToken, refuseToken, hosts }: GuardOptions): MiddlewareHandler {
  const allowed = new Set(["localhost", ...hosts]);
  return async (c, next) => {
    const { req } = c;
    const authority = req.header("host") ?? "";
    if (!isAllowedHost(authority, allowed)) {
      throw new Refusal("host_not_allowed", `The Host ${JSON.stringify(authority)} is not one of this listener`);
    }
    const origin = req.header("origin");
    if (origin !== undefined && !isSameOrigin(origin, authority)) {
      throw new Refusal("origin_not_allowed", "A page of another site asked");
    }
    if (req.path === "/readyz" || req.path === "/healthz") return await next();
    const [, token] = /^Bearer +(\S+) *$/i.exec(req.header("authorization") ?? "") ?? [];
    if (token === undefined) {
      const detail = req.query("token") !== undefined || req.query("access_token") !== undefined
        ? "A token in the query is not read, since queries are logged: send it as Authorization: Bearer TOKEN"
        : "Send the admin's token as Authorization: Bearer TOKEN";
      throw new Refusal("unauthorized", detail, CHALLENGE);
    }
    if (!checkToken(token)) {
      const code = await refuseToken?.(addressOf(c), req.raw.signal) ?? "unauthorized";
      if (code === "too_many_attempts") {
        throw new Refusal(code, "The token was refused, as many others just now: try again in a moment", CHALLENGE);
      }
      const what = tokenId(token) === null
        ? "not that of the admin"
        : "one of a node or of names, and not that of the admin";
      throw new Refusal("unauthorized", `The token is ${what}`, CHALLENGE);
    }
    await next();
  };
}

function isAllowedHost(authority: string, allowed: ReadonlySet<string>): boolean {
  const host = authority.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase();
  return allowed.has(host) || isIP(bareHost(host)) !== 0;
}

/** The browser names the page's own origin with requests of its scripts. */
function isSameOrigin(origin: string, authority: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === authority.toLowerCase();
}
