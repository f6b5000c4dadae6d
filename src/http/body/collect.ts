/** Reads a body to its end, up to a limit: what the JSON protocol must do with every request's body. */
import type { CancelSignal } from "../../base/mod.ts";
import type { Body } from "../message.ts";
import { concat } from "../../memory/mod.ts";

/** Bytes that may be collected at one time, by all bodies of a session together. */
export class CollectBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

export type Collected =
  | { readonly bytes: Uint8Array }
  /** `limit`: this body is too large; `budget`: all bodies together are. The rest was cancelled. */
  | { readonly exceeded: "limit" | "budget" };

/**
 * @param limitBytes the largest body that is collected
 * @param signal cancels the body, and rejects with its reason
 * @throws what the stream throws, where the body breaks off
 */
export async function collectBody(
  body: Body,
  limitBytes: number,
  budget: CollectBudget,
  signal?: CancelSignal,
): Promise<Collected> {
  if (body === null) return { bytes: new Uint8Array(0) };
  if (body instanceof Uint8Array) return body.length <= limitBytes ? { bytes: body } : { exceeded: "limit" };
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  // A source that has already failed has nothing to be told.
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      signal?.throwIfAborted();
      if (done) return { bytes: chunks.length === 1 ? chunks[0] as Uint8Array : concat(chunks, length) };
      const exceeded = length + value.length > limitBytes ? "limit" : budget.take(value.length) ? null : "budget";
      if (exceeded !== null) {
        // The answer is decided; how the cancellation of the rest ends no longer matters to anyone.
        reader.cancel().catch(() => {});
        return { exceeded };
      }
      length += value.length;
      chunks.push(value);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    budget.give(length);
  }
}
