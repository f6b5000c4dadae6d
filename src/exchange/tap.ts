/** Looks at a body as it passes, without holding it. */
import type { Body } from "../http1/message.ts";

export interface Tap {
  onChunk(bytes: number): void;
  /** Once, when the body is over; `error` where it broke off or its reader cancelled it. */
  onOver?(error?: unknown): void;
}

/**
 * The same body. A body that is no stream is told as one chunk, and over, at once; one that breaks off is told so, and
 * breaks off for its reader, although nobody is reading.
 */
export function tap<B extends Body>(body: B, watcher: Tap): B {
  if (!(body instanceof ReadableStream)) {
    if (body !== null && body.length > 0) watcher.onChunk(body.length);
    watcher.onOver?.();
    return body;
  }
  const reader = body.getReader();
  // A read that is under way when the reader cancels comes to its end, too: that is no second end.
  let isOver = false;
  const end = (error?: unknown) => {
    isOver = true;
    watcher.onOver?.(error);
  };
  const fail = (controller: ReadableStreamDefaultController<Uint8Array>, error: unknown) => {
    if (isOver) return;
    end(error);
    controller.error(error);
  };
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      reader.closed.catch((error) => fail(controller, error));
    },
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (isOver) return;
        if (!done) {
          watcher.onChunk(value.length);
          return controller.enqueue(value);
        }
        end();
        controller.close();
      } catch (error) {
        fail(controller, error);
      }
    },
    cancel(reason) {
      end(reason ?? new Error("The reader cancelled the body"));
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  return stream as B;
}
