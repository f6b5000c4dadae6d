/** Who has a tunnel's name, a hostname or a port, as its neighbors may know it: nothing of upstreams or tokens. */
import type { Change, TunnelRecord } from "../store/mod.ts";
import { ControlError } from "./control_error.ts";
import type { Directory } from "./directory.ts";

/** The end of a sentence about a tunnel that a file has applied; else empty. */
export function ofProject({ project }: TunnelRecord): string {
  return project === null ? "" : `, which the project ${project} has applied`;
}

/** The tunnel of that name, for a sentence. */
export function describeTunnel({ tunnels }: Pick<Directory, "tunnels">, name: string): string {
  const tunnel = tunnels.get(name)?.value;
  const nodes = tunnel?.nodes.join(", ") ?? "";
  return `the tunnel ${name}${nodes === "" ? "" : ` of ${nodes}`}${tunnel === undefined ? "" : ofProject(tunnel)}`;
}

export function hostnameTaken(hostname: string, holder: string, cause?: unknown): ControlError {
  return new ControlError("hostname_taken", `The hostname ${hostname} belongs to ${holder}`, cause);
}

export function portTaken(port: number, holder: string): ControlError {
  return new ControlError("port_taken", `The port ${port} belongs to the tunnel ${holder}`);
}

/** The error of a tunnel that is changed by somebody else than who declared it. */
export function belongsElsewhere({ name, project }: TunnelRecord): ControlError {
  const owner = project === null ? "was declared alone" : `belongs to the project ${project}`;
  return new ControlError("name_taken", `The tunnel ${name} ${owner}: change it there, or remove it first`);
}

/** Claims `hostname` for a tunnel. @param ifRevision that of the claim that it replaces. Default 0: nobody has it. */
export function claim(hostname: string, tunnel: string, ifRevision = 0): Change {
  return { kind: "hostname", key: hostname, value: { hostname, tunnel }, ifRevision };
}
