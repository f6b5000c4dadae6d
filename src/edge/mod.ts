/** The public side: listener, router, registry of tunnels, and the acceptors of agents. */
export { type Edge, type EdgeEvents, startEdge } from "./edge.ts";
