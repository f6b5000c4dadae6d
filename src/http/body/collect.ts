/** Reads a whole body, up to a limit. */
import type { CancelSignal } from "../../base/mod.ts";
import { concat, emptyBytes } from "../../memory/mod.ts";
import type { Body } from "../message.ts";

/** Limits the bytes that are collected at one time, by all bodies that share it. */
export class CollectBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Returns false, and reserves nothing, where they are too many. */
  reserve(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  free(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

export type Collected =
  | { readonly bytes: Uint8Array }
  /** `limit`: this body is too large; `budget`: all bodies together are. The body was canceled. */
  | { readonly exceeded: "limit" | "budget" };

/**
 * @param limitBytes of the largest body that is collected
 * @param signal cancels the body; the result then rejects with the signal's reason
 * @throws the stream's error, where the body breaks off
 */
export async function collectBody(
  body: Body,
  limitBytes: number,
  budget: CollectBudget,
  signal?: CancelSignal,
): Promise<Collected> {
  if (body === null) return { bytes: emptyBytes };
  if (body instanceof Uint8Array) return body.length <= limitBytes ? { bytes: body } : { exceeded: "limit" };
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  // The source may have failed already.
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      signal?.throwIfAborted();
      if (done) return { bytes: chunks.length === 1 ? chunks[0] as Uint8Array : concat(chunks, length) };
      const exceeded = length + value.length > limitBytes ? "limit" : budget.reserve(value.length) ? null : "budget";
      if (exceeded !== null) {
        // A source that fails while it is being canceled has stopped, too.
        reader.cancel().catch(() => {});
        return { exceeded };
      }
      length += value.length;
      chunks.push(value);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    budget.free(length);
  }
}
