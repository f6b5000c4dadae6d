/** What a runtime may not let the process do. Only Deno has such permissions. */
import { formatTarget } from "./address.ts";
import type { ListenTarget } from "./socket.ts";

/** True for Deno's error. Its message names the flag that is missing. */
export function isMissingPermission(error: unknown): boolean {
  return error instanceof Error && error.name === "NotCapable";
}

interface Wanted {
  readonly name: string;
  readonly kind?: string;
  readonly host?: string;
  readonly path?: string;
}

interface DenoGlobal {
  readonly permissions: {
    querySync(wanted: Wanted): { readonly state: string };
    requestSync(wanted: Wanted): { readonly state: string };
  };
  readonly errors: { readonly NotCapable: new (message: string) => Error };
}

/** Whether the process has a permission, for which the user is not asked. On Deno alone. */
export function isGranted(wanted: Wanted): boolean {
  return (globalThis as unknown as { Deno: DenoGlobal }).Deno.permissions.querySync(wanted).state === "granted";
}

/**
 * Asks for what listening on `target` needs, as Deno's own calls do. `node:net` would throw the error from a callback,
 * where nobody can catch it.
 *
 * @throws {Error} as Deno's own calls throw
 */
export function permitListen(target: ListenTarget): void {
  if (target.kind === "fd") return;
  const { permissions, errors } = (globalThis as unknown as { Deno: DenoGlobal }).Deno;
  const host = formatTarget(target);
  const path = target.kind === "unix" ? target.path : undefined;
  for (const name of path === undefined ? ["net"] : ["read", "write", "net"]) {
    const { state } = permissions.requestSync(name === "net" ? { name, host } : { name, path });
    if (state === "granted") continue;
    const what = name === "net" ? host : path;
    throw new errors.NotCapable(`Requires ${name} access to "${what}", run again with the --allow-${name} flag`);
  }
}
