/** Who asks, for the audit log. */
import type { Context } from "hono";
import type { Actor } from "../control/mod.ts";

/** What the listener tells of a request, besides the request itself. */
export interface AdminBindings {
  /** The IP address that asks; empty where there is none, as on a unix socket. */
  readonly client: string;
}

/** Everybody who may ask has the admin's token, so that the address alone tells them apart. */
export function actorOf(c: Context): Actor {
  return { id: "admin", address: addressOf(c) };
}

/** The IP address that asks; empty where there is none. */
export function addressOf(c: Context): string {
  return (c.env as Partial<AdminBindings> | undefined)?.client ?? "";
}
