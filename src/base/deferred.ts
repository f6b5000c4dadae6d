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

  /** Rejects, without an unhandled rejection: owners report the error on another way, too. */
  reject(reason: unknown): void {
    this.promise.catch(() => {});
    this.#reject(reason);
  }
}
