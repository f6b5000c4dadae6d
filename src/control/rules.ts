/** What names and hostnames may be. Each check throws a `ControlError` that says what is wrong. */
import { tunnelNameFault } from "../config/mod.ts";
import type { TunnelRecord } from "../store/mod.ts";
import { ControlError } from "./control_error.ts";
import { parseHostname } from "./hostnames.ts";
import { patternFault } from "./patterns.ts";

/** Hostnames of one tunnel. */
const MAX_HOSTNAMES = 100;

/** Node names are a namespace of their own: what is reserved for tunnels is free for nodes. */
export function checkNodeName(name: string): void {
  checkLabel(name, "node");
}

export function checkProjectName(name: string): void {
  checkLabel(name, "project");
}

function checkLabel(name: string, what: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return;
  throw new ControlError(
    "bad_name",
    `The ${what} name ${JSON.stringify(name)} must be 1 to 63 characters: a to z, 0 to 9 and hyphens inside`,
  );
}

export function checkTunnelName(name: string, reserved: ReadonlySet<string>): void {
  const fault = tunnelNameFault(name, reserved);
  if (fault !== null) throw new ControlError("bad_name", fault);
}

export function checkPattern(pattern: string): void {
  const fault = patternFault(pattern);
  if (fault !== null) throw new ControlError("bad_name", `The pattern ${JSON.stringify(pattern)} ${fault}`);
}

/** Refuses what is for tunnels of the other kind. */
export function checkKind({ kind, port, hostnames }: TunnelRecord): void {
  if (kind === "http" && port !== null) {
    throw new ControlError("bad_request", `A port is for tcp tunnels, and this one is http: leave out port ${port}`);
  }
  if (kind === "tcp" && hostnames.length > 0) {
    throw new ControlError("bad_request", "A tcp tunnel is reached by its port: leave out its hostnames");
  }
}

/** Returns the hostnames in their stored form, without repeats. @param domain the edge's */
export function checkHostnames(
  hostnames: readonly string[],
  domain: string,
  reserved: ReadonlySet<string>,
): string[] {
  if (hostnames.length > MAX_HOSTNAMES) {
    throw new ControlError(
      "bad_request",
      `A tunnel has at most ${MAX_HOSTNAMES} hostnames, and not ${hostnames.length}`,
    );
  }
  return [...new Set(hostnames.map((text) => checkHostname(text, domain, reserved)))];
}

function checkHostname(text: string, domain: string, reserved: ReadonlySet<string>): string {
  const parsed = parseHostname(text);
  const refuse = (fault: string) => new ControlError("bad_request", `The hostname ${JSON.stringify(text)} ${fault}`);
  if ("fault" in parsed) throw refuse(parsed.fault);
  const { hostname } = parsed;
  if (hostname === domain) throw refuse("is the edge's own domain");
  if (!hostname.endsWith(`.${domain}`)) return hostname;
  const below = hostname.slice(0, -domain.length - 1);
  if (below === "*") throw refuse("would take all names of the edge's domain");
  if (reserved.has(below)) throw refuse("is reserved: no tunnel has it");
  if (!below.includes(".")) throw refuse(`is that of the tunnel named ${below}: name the tunnel so`);
  return hostname;
}
