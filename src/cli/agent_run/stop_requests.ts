/** What stops `agent run`: signals, and the edge, which asks for the same. */
import type { SignalName } from "../../net/mod.ts";
import type { ProgramHost } from "../host.ts";

export class StopRequests implements Pick<ProgramHost, "onSignal"> {
  readonly #host: Pick<ProgramHost, "onSignal">;
  readonly #handlers = new Set<() => void>();
  #isAsked = false;

  constructor(host: Pick<ProgramHost, "onSignal">) {
    this.#host = host;
  }

  /** True where the edge has asked. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  onSignal(name: SignalName, handler: () => void): () => void {
    const unsubscribe = this.#host.onSignal(name, handler);
    // One of the signals stands for what the edge asks.
    if (name === "SIGTERM") this.#handlers.add(handler);
    return () => {
      this.#handlers.delete(handler);
      unsubscribe();
    };
  }

  /** `drain` does what a first SIGTERM does, `shutdown` what a second one does at once. */
  ask(action: "drain" | "shutdown"): void {
    this.#isAsked = true;
    for (const handler of [...this.#handlers]) {
      handler();
      if (action === "shutdown") handler();
    }
  }
}
