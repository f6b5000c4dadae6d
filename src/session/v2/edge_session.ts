/** The edge's end of a session on `runnel.v2`: each exchange is a stream of its connection. */
import { type CancelSignal, type Clock, systemClock } from "../../base/mod.ts";
import { type Answer, type Body, contentOf, isPlainUpgrade, type RequestHead } from "../../http/mod.ts";
import { ConnectionError, ErrorCode, Feature, StreamError } from "../../httpstream/mod.ts";
import type { EdgeSession, SessionEnd } from "../session.ts";
import type { SessionConnection } from "./connection.ts";
import { openExchange } from "./open.ts";
import { tunnelLostFields } from "./pseudo_fields.ts";

export class V2EdgeSession implements EdgeSession {
  readonly protocol = "v2";
  readonly closed: Promise<SessionEnd>;
  readonly #connection: SessionConnection;
  readonly #clock: Clock;
  readonly #suspensionListeners = new Set<(isSuspended: boolean) => void>();

  constructor(readonly id: string, connection: SessionConnection, clock: Clock = systemClock) {
    this.#connection = connection;
    this.#clock = clock;
    connection.suspensionHandlers = {
      onSuspended: () => this.#tellSuspension(true),
      onResumed: () => this.#tellSuspension(false),
    };
    this.closed = connection.ended.then(({ code, reason, error }) => {
      if (code === ErrorCode.REPLACED) return { code: "replaced", reason };
      return { code: error?.code ?? "closed", reason: reason || "The agent left" };
    });
  }

  get active(): number {
    return this.#connection.streams;
  }

  /** Bytes held for its exchanges, both directions; bounded as `Connection.bufferedBytes` is. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  get bytesIn(): number {
    return this.#connection.sentBytes;
  }

  get bytesOut(): number {
    return this.#connection.receivedBytes;
  }

  get rttMs(): number | null {
    return this.#connection.rttMs || null;
  }

  readonly open = (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    if (head.upgrade !== undefined && !this.#takesUpgrade(head)) {
      body = contentOf(head, body);
      head = { ...head, upgrade: undefined };
    }
    return openExchange(this.#connection, head, body, signal);
  };

  get isLeaving(): boolean {
    return this.#connection.draining;
  }

  get isSuspended(): boolean {
    return this.#connection.isSuspended;
  }

  get suspendedMs(): number {
    return this.#connection.suspendedMs;
  }

  watchSuspension(listener: (isSuspended: boolean) => void): () => void {
    this.#suspensionListeners.add(listener);
    return () => this.#suspensionListeners.delete(listener);
  }

  endWithLink(): void {
    this.#connection.endWithLink();
  }

  #tellSuspension(isSuspended: boolean): void {
    for (const listener of [...this.#suspensionListeners]) listener(isSuspended);
  }

  ping(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(timeoutMs, () => resolve(false));
      this.#connection.ping().then(() => resolve(true), () => resolve(false)).finally(() => timer.cancel());
    });
  }

  /** Earlier agents take one protocol alone, without a body: other upgrades are ignored, as RFC 9110 §7.8 allows. */
  #takesUpgrade(head: RequestHead): boolean {
    return isPlainUpgrade(head) || (this.#connection.peerFeatures & Feature.UPGRADES) !== 0;
  }

  announceDrain(): void {
    this.#connection.announceDrain();
  }

  async drain(): Promise<void> {
    await this.#connection.drain();
  }

  close(reason: string): void {
    this.#connection.close(undefined, reason);
  }

  /** The agent's answer is not waited for: without one it learns of the loss when it opens the tunnel anew. */
  withdraw(tunnel: string, code: string, reason: string): boolean {
    if ((this.#connection.peerFeatures & Feature.TUNNELS) === 0) return false;
    const body = new TextEncoder().encode(JSON.stringify({ code, reason }));
    try {
      const stream = this.#connection.createStream(tunnelLostFields(tunnel, "edge"), { endStream: true, body });
      stream.handlers = { onReadable: () => stream.reset() };
    } catch (error) {
      // The connection is ending, and takes all tunnels along.
      if (!(error instanceof StreamError || error instanceof ConnectionError)) throw error;
    }
    return true;
  }

  replace(reason: string): void {
    this.#connection.close(ErrorCode.REPLACED, reason);
  }
}
