/**
 * `agent login`: tries an edge and its token, and keeps them in the settings file, from which the other commands take
 * them.
 */
import { resolve } from "node:path";
import { AgentError, tryEdge } from "../agent/mod.ts";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { agentLoginOptions, agentSettingsPath, updateSettings, UsageError, version } from "../config/mod.ts";
import { edgeEndpoint } from "./agent_endpoints.ts";
import type { Command, CommandCall } from "./command.ts";
import { ExitCode, remedyFor } from "./exit_codes.ts";
import { askForToken, readToken } from "./token.ts";

type LoginCall = CommandCall<typeof agentLoginOptions>;

/** The settings file cannot be written. Code `login_failed`. */
export class LoginError extends RunnelError {
  static {
    nameErrorClass(this, "LoginError");
  }

  constructor(reason: string, cause: unknown) {
    super({ code: "login_failed", reason, initiator: "user", cause });
  }
}

export const loginCommand: Command<typeof agentLoginOptions> = {
  name: "login",
  summary: "Keep an edge and its token for the other commands",
  options: agentLoginOptions,
  positionals: { URL: "the edge, such as https://example.com" },
  examples: [
    "agent login https://example.com",
    "agent login https://example.com --token-file -",
    "agent login http://127.0.0.1:8080 --token-file /var/lib/runnel/token",
  ],
  run: login,
};

async function login({ values, positionals, output, host }: LoginCall): Promise<number> {
  const access = { ...values, edge: positionals.URL };
  const { edge, dial } = await edgeEndpoint(access, host);
  const token = await readToken(values, host) ?? await askForToken(host);
  if (token === null) throw new UsageError("The token is missing", "Give it with --token-file FILE, or - to paste it");
  if (!values.noCheck) await check({ edge, dial, token, version });
  const file = agentSettingsPath(host);
  try {
    await updateSettings(file, { edge: edge.label, token, tokenFile: undefined, ...accessSettings(values) });
  } catch (error) {
    if (error instanceof RunnelError) throw error;
    throw new LoginError(`The settings ${file} cannot be written: ${(error as Error).message}`, error);
  }
  output.result({ edge: edge.label, file }, `Edge and token are kept in ${file}`, "Try        agent http 3000");
  return ExitCode.ok;
}

/** Rejects with the error of `tryEdge`, whose remedy also names the flag that does without the trial. */
async function check(options: Parameters<typeof tryEdge>[0]): Promise<void> {
  try {
    await tryEdge(options, new AbortController().signal);
  } catch (error) {
    // A token that is refused is not worth keeping.
    if (!(error instanceof AgentError) || error.code === "unauthorized") throw error;
    const remedy = `${remedyFor(error)}. --no-check keeps edge and token without trying them`;
    throw new AgentError(error.code, error.reason, error, { remedy });
  }
}

/**
 * What is kept of how the edge is reached. A CA and a proxy of before stay where no other one is given. A pin is that of
 * one edge, and counts in place of a CA.
 */
function accessSettings(values: LoginCall["values"]): Readonly<Record<string, unknown>> {
  const { edgeInsecure, edgeCa, edgePin, proxy } = values;
  const isPinned = edgePin.length > 0;
  return {
    edgeInsecure: edgeInsecure ? true : undefined,
    edgePin: isPinned ? [...edgePin] : undefined,
    ...(edgeCa === undefined && !isPinned ? {} : { edgeCa: edgeCa === undefined ? undefined : resolve(edgeCa) }),
    ...(proxy === undefined ? {} : { proxy }),
  };
}
