/** The timeouts of tunnels: what an agent asks for its own one, within what the edge allows. */
import { formatTimeout, parseTimeout } from "../config/mod.ts";
import { defaultExchangeTimeouts, type ExchangeTimeouts } from "../http/mod.ts";
import type { AskedTimeouts } from "../session/mod.ts";

export class TunnelTimeouts {
  /** Of tunnels whose agents ask for nothing. */
  readonly defaults: ExchangeTimeouts;
  readonly #maxFirstByteMs: number;

  /**
   * @param timeouts those that are not to have their defaults
   * @param maxFirstByteMs the most of `firstByteMs` that a tunnel gets, the default included; `Infinity`: no bound
   */
  constructor(timeouts: Partial<ExchangeTimeouts> = {}, maxFirstByteMs = Infinity) {
    const complete = { ...defaultExchangeTimeouts, ...timeouts };
    this.#maxFirstByteMs = maxFirstByteMs;
    this.defaults = { ...complete, firstByteMs: Math.min(complete.firstByteMs, maxFirstByteMs) };
  }

  /** @param asked as it came, already checked */
  grant(asked: AskedTimeouts | undefined): ExchangeTimeouts {
    const firstByteMs = asked?.firstByte === undefined ? null : parseTimeout(asked.firstByte);
    const idleMs = asked?.idle === undefined ? null : parseTimeout(asked.idle);
    if (firstByteMs === null && idleMs === null) return this.defaults;
    return {
      firstByteMs: firstByteMs === null ? this.defaults.firstByteMs : Math.min(firstByteMs, this.#maxFirstByteMs),
      idleMs: idleMs ?? this.defaults.idleMs,
      streamIdleMs: idleMs ?? this.defaults.streamIdleMs,
    };
  }
}

/** What an agent is told of the timeouts that its tunnel has; undefined where it asked for none. */
export function toldTimeouts(
  asked: AskedTimeouts | undefined,
  { firstByteMs, idleMs }: ExchangeTimeouts,
): AskedTimeouts | undefined {
  if (asked === undefined) return undefined;
  const firstByte = formatTimeout(firstByteMs);
  return asked.idle === undefined ? { firstByte } : { firstByte, idle: formatTimeout(idleMs) };
}
