/** Several that are told of what happens on an edge, as one. */
import type { EdgeEvents } from "./edge.ts";

/** Calls the methods of all `parts`, in their order. A method that none of them has is not there. */
export function joinEvents(...parts: readonly EdgeEvents[]): EdgeEvents {
  const joined: Record<string, (...args: never[]) => void> = {};
  for (const part of parts) {
    for (const [name, method] of Object.entries(part) as [string, (...args: never[]) => void][]) {
      const earlier = joined[name];
      joined[name] = earlier === undefined ? method : (...args) => {
        earlier(...args);
        method(...args);
      };
    }
  }
  return joined;
}
