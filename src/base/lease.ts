/** A place that is taken: of a connection or a request, among those that there may be at once. */
export interface Lease {
  /** Gives it back. A second call does nothing. */
  release(): void;
}
