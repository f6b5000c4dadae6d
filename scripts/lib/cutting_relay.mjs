// @ts-check
/** A TCP relay in front of an edge, which cuts its connections, every few seconds or when it is told to. */
import { EventEmitter, once } from "node:events";
import { connect, createServer } from "node:net";

/** @typedef {import("node:net").Socket} Socket */

/** An edge takes an agent. */
const accepted = "HTTP/1.1 101 ";

/**
 * Emits `cut` with what number it was; `dial` for each connection that comes; `answer` with whether the edge took the
 * agent, for each that is answered; and `back` with the milliseconds from a cut until it first did.
 */
export class CuttingRelay extends EventEmitter {
  /** True: connections that come are reset at once. */
  refuses = false;
  #target;
  #server = createServer((near) => this.#join(near));
  /** @type {Set<Socket>} */
  #sockets = new Set();
  #links = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #cuts = 0;
  /** When the last cut was, until the target has spoken again. @type {number | null} */
  #cutAt = null;

  /** @param {number} target the port of 127.0.0.1 that it passes bytes to */
  constructor(target) {
    super();
    this.#target = target;
  }

  /** Resolves to the port of 127.0.0.1 on which it listens. */
  async listen() {
    this.#server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(this.#server, "listening");
    return /** @type {import("node:net").AddressInfo} */ (this.#server.address()).port;
  }

  /** Connections on which the edge took an agent, and that are open. */
  get links() {
    return this.#links;
  }

  get cuts() {
    return this.#cuts;
  }

  /** Cuts from now on, as often as that. @param {number} everyMs */
  begin(everyMs) {
    this.#timer = setInterval(() => this.cut(), everyMs);
  }

  /** Cuts everything, and takes nothing more. */
  close() {
    clearInterval(this.#timer);
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resets what is open, at both ends. Does nothing while the agent is not back yet. */
  cut() {
    if (this.#sockets.size === 0) return;
    this.#cutAt = performance.now();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
    this.emit("cut", ++this.#cuts);
  }

  /** @param {Socket} near */
  #join(near) {
    near.on("error", () => {});
    this.emit("dial");
    if (this.refuses) return near.resetAndDestroy();
    const far = connect(this.#target, "127.0.0.1");
    far.once("data", (bytes) => this.#answered(far, bytes.toString("latin1").startsWith(accepted)));
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy()).on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }

  /** @param {Socket} far @param {boolean} isAccepted */
  #answered(far, isAccepted) {
    if (isAccepted) {
      this.#links++;
      far.once("close", () => this.#links--);
    }
    this.emit("answer", isAccepted);
    if (!isAccepted || this.#cutAt === null) return;
    const afterMs = performance.now() - this.#cutAt;
    this.#cutAt = null;
    this.emit("back", afterMs);
  }
}
