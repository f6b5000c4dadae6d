/** Exit codes, on which scripts rely, and what to do about an error. */
import { AgentError } from "../agent/mod.ts";
import { RunnelError } from "../base/mod.ts";
import { UsageError } from "../config/mod.ts";
import { AdminError } from "./admin_error.ts";

export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  edgeUnreachable: 4,
  taken: 5,
} as const;

/** What each exit code means, for the documentation. */
export const exitCodeMeanings: Readonly<Record<number, string>> = {
  [ExitCode.ok]: "all went well",
  [ExitCode.failure]: "something failed",
  [ExitCode.usage]: "the program was called wrongly",
  [ExitCode.refused]: "the edge refused the token, or what it was to open",
  [ExitCode.edgeUnreachable]: "the edge could not be reached",
  [ExitCode.taken]: "the name, the hostname or the port is taken",
};

export function exitCodeOf(error: unknown): number {
  // The admin API is asked for what the command line says: what is wrong in it was typed wrongly.
  if (error instanceof AdminError && error.code === "bad_request") return ExitCode.usage;
  return (error instanceof RunnelError ? exitCodes[error.code] : undefined) ?? ExitCode.failure;
}

/** The exit code of each error code; for all others it is `ExitCode.failure`. */
const exitCodes: Readonly<Record<string, number>> = {
  usage: ExitCode.usage,
  unauthorized: ExitCode.refused,
  name_not_allowed: ExitCode.refused,
  too_many_attempts: ExitCode.edgeUnreachable,
  edge_unreachable: ExitCode.edgeUnreachable,
  name_taken: ExitCode.taken,
  hostname_taken: ExitCode.taken,
  port_taken: ExitCode.taken,
  replaced: ExitCode.taken,
  bad_name: ExitCode.usage,
  address_in_use: ExitCode.taken,
};

/** What a person can do about `error`, as it says itself or as its code does; null where only `--help` can tell. */
export function remedyFor(error: RunnelError): string | null {
  const own = error instanceof UsageError || error instanceof AgentError || error instanceof AdminError
    ? error.remedy
    : null;
  return own ?? remedyOf(error.code);
}

/** What a person can do about an error of this code; null where only `--help` can tell. */
export function remedyOf(code: string): string | null {
  return code === "usage" ? null : remedies[code] ?? "Run it again with --log-level debug to see more";
}

/**
 * What to do where Deno has not allowed something; null where `message` does not say that. Errors of all kinds quote
 * Deno's sentence, which ends with the flag.
 */
export function permissionRemedy(message: string): string | null {
  const flag = /run again with the (--allow-[a-z]+) flag/.exec(message)?.[1];
  return flag === undefined ? null : `Run it by 'deno run ${flag} ...' with what else it needs: see docs/install.md`;
}

const remedies: Readonly<Record<string, string>> = {
  unauthorized: "Give the edge's token, which it keeps in DATA/token, or a node's, with --token-file, --token or " +
    "RUNNEL_TOKEN; edge node rotate makes a node a new one",
  name_not_allowed: "Give --name one of the token's tunnels, which edge tunnel list shows, or use another token",
  too_many_attempts: "Try again in a moment, and check the token",
  edge_unreachable: "Check that the edge runs, and that --edge names it",
  name_taken: "Choose another --name, or take it over with --force",
  replaced: "Stop the other agent, or choose another --name",
  bad_name: "Choose another --name",
  protocol_mismatch: "Bring edge and agent to the same version",
  refused: "Look into the log of the edge",
  data_folder: "Name a folder that can be written with --data, or give a token with --token-file",
  in_use: "Stop edge serve, and start it again behind this",
  damaged_store: "Restore a backup with edge restore",
  newer_store: "Start the newer program, or restore a backup with edge restore",
  unavailable: "Look at the disk of --data, and whether another program holds its files",
  login_failed: "Let XDG_CONFIG_HOME name a folder that can be written, or give agent http --edge and --token-file",
  address_in_use: "Stop what listens there, or choose another --listen or --admin-listen",
  permission_denied: "Choose a port over 1023, or let the service manager pass the socket as fd:3",
  host_not_found: "Choose an address of this machine for --listen and --admin-listen",
  address_not_available: "Choose an address of this machine for --listen and --admin-listen",
  internal: "This is a mistake in Runnel: please report it with the text above",
};
