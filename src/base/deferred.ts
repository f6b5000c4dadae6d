/** A promise that is settled from outside, once; later calls do nothing. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  /** Rejects. Whoever never looks at the promise is not told of it as an unhandled rejection. */
  reject(reason: unknown): void {
    this.promise.catch(() => {}); // The same error is on the stream, for whoever wants it.
    this.#reject(reason);
  }
}
