/** `agent login`: saves an edge and its token in the settings file, from which the other commands take them. */
import { parseEdgeUrl } from "../agent/mod.ts";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { agentLoginOptions, agentSettingsPath, asUsageError, updateSettings, UsageError } from "../config/mod.ts";
import type { Command, CommandCall } from "./command.ts";
import { ExitCode } from "./exit_codes.ts";
import { readToken } from "./token.ts";

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
    "agent login https://example.com --token-file -",
    "agent login http://127.0.0.1:8080 --token-file /var/lib/runnel/token",
  ],
  run: login,
};

async function login({ values, positionals, output, host }: CommandCall<typeof agentLoginOptions>): Promise<number> {
  const edge = asUsageError(() => parseEdgeUrl(positionals.URL, values.edgeInsecure));
  if (values.tokenFile === "-" && host.terminal("stderr").isTerminal && !output.isJson) {
    host.stderr("Paste the token, then press Return and Ctrl-D\n");
  }
  const token = await readToken(values, host);
  if (token === null) throw new UsageError("The token is missing", "Give it with --token-file FILE, or - to paste it");
  const file = agentSettingsPath(host);
  const insecure = values.edgeInsecure ? true : undefined;
  try {
    await updateSettings(file, { edge: edge.label, token, tokenFile: undefined, edgeInsecure: insecure });
  } catch (error) {
    if (error instanceof RunnelError) throw error;
    throw new LoginError(`The settings ${file} cannot be written: ${(error as Error).message}`, error);
  }
  output.result({ edge: edge.label, file }, `Edge and token are kept in ${file}`, "Try        agent http 3000");
  return ExitCode.ok;
}
