/** The forms of a request target (RFC 9112 §3.2), and the authority that the target and Host name. */
import { showText } from "../../base/mod.ts";
import { isAuthority, sameAuthority, splitUrl } from "../../http/mod.ts";
import { HttpParseError } from "./errors.ts";

export interface ResolvedTarget {
  /** Origin-form or `*`. */
  readonly target: string;
  readonly authority: string;
}

/**
 * @param host the Host field's value; undefined where there was none, which HTTP/1.1 does not allow
 * @throws {HttpParseError} 400 for a missing or invalid Host, for a target in no form that a server must accept, and
 *   for an absolute-form target whose authority is not that of Host
 */
export function resolveTarget(
  method: string,
  received: string,
  version: "1.0" | "1.1",
  host: string | undefined,
): ResolvedTarget {
  if (host === undefined) {
    if (version === "1.1") throw new HttpParseError(400, "There is no Host field");
  } else if (!isAuthority(host)) {
    throw new HttpParseError(400, `The Host ${showText(host)} is not valid`);
  }
  if (received.startsWith("/") || (received === "*" && method === "OPTIONS")) {
    return { target: received, authority: host ?? "" };
  }
  const absolute = splitUrl(received);
  if (absolute === null || !isAuthority(absolute.authority) || absolute.rest.startsWith("#")) {
    throw new HttpParseError(400, `The request target ${showText(received)} is in no form that is served`);
  }
  if (host !== undefined && !sameAuthority(absolute.authority, host, absolute.scheme)) {
    const both = `${showText(absolute.authority)}, and Host names ${showText(host)}`;
    throw new HttpParseError(400, `The request target names ${both}`);
  }
  return { target: originForm(method, absolute.rest), authority: host ?? absolute.authority };
}

/** An empty path becomes `*` for OPTIONS (RFC 9112 §3.2.4) and `/` otherwise (§3.2.1). */
function originForm(method: string, path: string): string {
  if (path.startsWith("/")) return path;
  return path === "" && method === "OPTIONS" ? "*" : `/${path}`;
}
