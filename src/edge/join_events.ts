/** Several that are told of the same things, as one. */
import type { EdgeEvents } from "./edge.ts";

/**
 * Calls the methods of all `parts`, in their order. A method that none of them has is not there.
 *
 * Its type is to be named, as in `joinEvents<AcmeEvents>`. Default: the events of an edge.
 */
export function joinEvents<Events extends object = EdgeEvents>(
  ...parts: readonly NoInfer<Events>[]
): NoInfer<Events> {
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
  return joined as Events;
}
