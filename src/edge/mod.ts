/** The face of `src/edge`. */
export { type Edge, type EdgeEvents, startEdge } from "./edge.ts";
