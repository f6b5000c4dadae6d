/** The admin API of an edge. */
export type { AdminBindings } from "./actor.ts";
export { type AdminOptions, createAdmin, openApiDocument } from "./admin.ts";
export type { StatusSession, StatusSource } from "./status.ts";
export { AdminListener, type AdminListenerOptions } from "./listener.ts";
