/** Dials through an HTTP proxy: CONNECT (RFC 9110 §9.3.6), and TLS with the target inside. */
import { type Clock, systemClock } from "../base/mod.ts";
import {
  type Dial,
  encodeRequestHead,
  HttpParseError,
  noBody,
  type ParsedResponse,
  ResponseParser,
} from "../http1/mod.ts";
import {
  attempt,
  DEFAULT_DIAL_TIMEOUT_MS,
  dial,
  type DialOptions,
  type DialTarget,
  formatTarget,
  type Socket,
  SocketError,
  startTls,
} from "../net/mod.ts";
import type { ProxyTarget } from "./proxy.ts";

/** Heads that a proxy may send before the final one. */
const MAX_INTERIM_HEADS = 16;

/**
 * A `dial` that reaches every TCP target through `proxy`, those without TLS, too. Its timeout covers the connection to the
 * proxy, the proxy's answer and the target's TLS together.
 *
 * The dial rejects with `SocketError`: `proxy_failed` where the proxy refuses or does not speak HTTP, else as `dial` does.
 * Where the proxy cannot be reached, the reason names it.
 */
export function dialThrough(proxy: ProxyTarget, clock: Clock = systemClock): Dial {
  return async (target: DialTarget, options: DialOptions): Promise<Socket> => {
    if (target.kind === "unix") return dial(target, options, clock);
    const { timeoutMs = DEFAULT_DIAL_TIMEOUT_MS, signal } = options;
    const startedAt = clock.now();
    const socket = await dial(proxy.target, options, clock).catch((error) => {
      throw proxyUnreachable(proxy, error);
    });
    const connect = new ProxyConnect(socket, proxy, formatTarget(target));
    await connect.run(timeoutMs, startedAt, clock, signal);
    if (target.tls === undefined) return socket;
    return startTls(socket, target, { timeoutMs, startedAt, signal }, clock);
  };
}

/** The same error, whose reason says that the proxy is what cannot be reached. */
function proxyUnreachable(proxy: ProxyTarget, error: unknown): unknown {
  if (!(error instanceof SocketError) || error.code === "aborted") return error;
  const { code, initiator, retryable } = error;
  const reason = `Cannot reach the proxy ${proxy.label}: ${error.reason}`;
  return new SocketError({ code, reason, initiator, retryable, cause: error });
}

/** One CONNECT request, until the proxy has answered it. */
class ProxyConnect {
  readonly #socket: Socket;
  readonly #proxy: ProxyTarget;
  readonly #authority: string;
  readonly #parser = new ResponseParser();
  #heads = 0;
  #resolve!: () => void;
  #reject!: (error: SocketError) => void;

  constructor(socket: Socket, proxy: ProxyTarget, authority: string) {
    this.#socket = socket;
    this.#proxy = proxy;
    this.#authority = authority;
  }

  /** Resolves with the socket paused and free for the caller's handlers. Resets it where it rejects. */
  run(timeoutMs: number, startedAt: number, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
    const action = `Cannot connect to ${this.#authority} through the proxy ${this.#proxy.label}`;
    const cleanUp = () => this.#socket.reset();
    return attempt<void>({ action, timeoutMs, startedAt, signal, clock, cleanUp }, (resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#ask();
    });
  }

  #ask(): void {
    const { authorization } = this.#proxy;
    this.#socket.handlers = {
      onData: (chunk) => this.#takeBytes(chunk),
      onEnd: () => this.#fail("it ended the connection before its answer", true),
      onDrain() {},
      onClose: (error) => this.#fail("it ended the connection before its answer", true, error ?? undefined),
    };
    this.#socket.write(encodeRequestHead({
      method: "CONNECT",
      target: this.#authority,
      authority: this.#authority,
      fields: authorization === null ? [] : ["Proxy-Authorization", authorization],
      framing: noBody,
    }));
    this.#socket.resume();
  }

  #takeBytes(chunk: Uint8Array): void {
    try {
      for (let unread = chunk; unread.length > 0; unread = this.#parser.rest) {
        const answer = this.#parser.push(unread, "CONNECT");
        if (answer === null) return;
        if (answer.status >= 200) return this.#takeAnswer(answer);
        if (answer.status === 101 || ++this.#heads > MAX_INTERIM_HEADS) {
          return this.#fail(`it answered CONNECT with ${answer.status}`, false);
        }
      }
    } catch (error) {
      if (!(error instanceof HttpParseError)) throw error;
      this.#fail(`its answer to CONNECT is no HTTP: ${error.reason}`, false, error);
    }
  }

  #takeAnswer({ status }: ParsedResponse): void {
    if (status === 407) return this.#fail(`it wants ${this.#credentials()} (407)`, false);
    if (status >= 300) return this.#fail(`it answered CONNECT with ${status}`, status >= 500);
    // In TLS and in HTTP the client speaks first: bytes that are here already are not the target's.
    if (this.#parser.rest.length > 0) return this.#fail("it sent bytes of its own behind its answer", false);
    this.#socket.pause();
    this.#resolve();
  }

  #credentials(): string {
    return this.#proxy.authorization === null ? "a user and a password" : "another user or password";
  }

  #fail(detail: string, retryable: boolean, cause?: unknown): void {
    const reason = `The proxy ${this.#proxy.label} gave no tunnel to ${this.#authority}: ${detail}`;
    this.#reject(new SocketError({ code: "proxy_failed", reason, initiator: "remote", retryable, cause }));
  }
}
