/**
 * The base class of every error that Runnel throws or reports. Each kind is a subclass, which stands beside the code
 * that throws it.
 */

/** The cause: the caller of the library (`user`), Runnel itself (`library`) or the other end of a socket (`remote`). */
export type Initiator = "user" | "library" | "remote";

export interface RunnelErrorInit {
  /** Stable, lower snake case; scripts match on it. */
  code: string;
  /** One sentence for a person, without a full stop: what happened, with the value. */
  reason: string;
  initiator: Initiator;
  /** True: the same call may succeed later. Default false. */
  retryable?: boolean;
  cause?: unknown;
}

export abstract class RunnelError extends Error {
  static {
    nameErrorClass(this, "RunnelError");
  }

  readonly code: string;
  readonly reason: string;
  readonly initiator: Initiator;
  readonly retryable: boolean;

  constructor(init: RunnelErrorInit) {
    super(init.reason, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason;
    this.initiator = init.initiator;
    this.retryable = init.retryable ?? false;
  }
}

/**
 * Gives a class of errors its name as a text, for `error.name` and for consoles: bundlers rename classes. To be called
 * in a static block of each.
 */
export function nameErrorClass(errorClass: { readonly prototype: Error }, name: string): void {
  for (const owner of [errorClass, errorClass.prototype]) {
    Object.defineProperty(owner, "name", { value: name, configurable: true, writable: true });
  }
}

/** True where a call of the runtime failed with one of these codes of the system's, such as `ENOENT` (errno(3)). */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as { code?: unknown }).code as string);
}
