/** What the commands that ask the admin API have in common. */
import { type adminOptions, UsageError } from "../../config/mod.ts";
import type { Command, CommandCall } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { AdminClient } from "./client.ts";

type AdminOptions = typeof adminOptions;

interface AdminCommand<S extends AdminOptions> extends Omit<Command<S>, "run"> {
  /** Throws `UsageError` where arguments or options do not fit, before anything is read or asked. */
  check?(call: CommandCall<S>): void;
  ask(client: AdminClient, call: CommandCall<S>): Promise<number | void>;
}

/** A command whose `ask` gets a client. It ends with the exit code that `ask` resolves to, by default 0. */
export function adminCommand<S extends AdminOptions>(declaration: AdminCommand<S>): Command<S> {
  const { check, ask, ...command } = declaration;
  return {
    ...command,
    async run(call) {
      check?.(call);
      const values = call.values as unknown as { admin: URL; data?: string };
      const client = await AdminClient.of(values, call.host);
      try {
        return await ask(client, call) ?? ExitCode.ok;
      } finally {
        client.close();
      }
    },
  };
}

/** The path of one record. @throws {UsageError} for a key that leads to another path, in each spelling (WHATWG URL §4.4) */
export function recordPath(kind: "nodes" | "tokens" | "tunnels", key: string): string {
  if (/^\.{0,2}$/.test(key)) throw new UsageError(`No ${kind.slice(0, -1)} is called ${JSON.stringify(key)}`);
  return `/api/v1/${kind}/${encodeURIComponent(key)}`;
}

/** All records of a kind: the API gives them in pages. */
export async function listAll<T>(client: AdminClient, kind: "nodes" | "tokens" | "tunnels", key: string): Promise<T[]> {
  const records: T[] = [];
  for (let after = "";;) {
    const query = after === "" ? "" : `?after=${encodeURIComponent(after)}`;
    const page = await client.ask("GET", `/api/v1/${kind}${query}`) as Record<string, T[]>;
    const items = page[kind] ?? [];
    records.push(...items);
    if (items.length < 1_000) return records;
    after = String((items.at(-1) as Record<string, unknown>)[key]);
  }
}
