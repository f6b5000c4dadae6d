/** Signals of a program that is ending: its last lines are still to be written, and its exit code is decided. */
import type { SignalName } from "../net/mod.ts";
import { type ProgramHost, variant } from "./host.ts";

/**
 * `host`, with subscriptions to signals that last until the process has ended. Without one, a second Ctrl-C would end
 * the process while it writes its last lines or while the runtime ends, with another exit code. The first signal after a
 * subscription has ended does nothing. The next one has the system's effect, so that a program can be ended whose output
 * nobody reads.
 */
export function holdSignals(host: ProgramHost): ProgramHost {
  const subscriptions = new Set<() => void>();
  const onSignal = (name: SignalName, handler: () => void): () => void => {
    let isWanted = true;
    subscriptions.add(host.onSignal(name, () => {
      if (isWanted) return handler();
      for (const unsubscribe of subscriptions) unsubscribe();
      subscriptions.clear();
    }));
    return () => void (isWanted = false);
  };
  return variant(host, { onSignal });
}
