// @ts-check
/**
 * The load generator: keep-alive HTTP/1.1 on raw sockets, one request at a time on each connection, in a process of its
 * own. It reads one task a line from standard input and writes its result, or `{"error": …}`, as one line:
 *
 *     {"port":8080,"host":"a.localhost","path":"/small","connections":32,"bodyBytes":1024,"milliseconds":1000}
 *     {"requests":21000,"seconds":1.0,"bytes":21504000,"p50Ms":1.4,"p99Ms":2.9}
 *
 * With `"tls":true` the connections have TLS inside, and with `"reconnects":true` each request has a connection of its
 * own. With `"hosts"` the connections ask these in turn, and not `host`. With `"requests":1` it stops after as many
 * answers instead. Every answer must be a 200 of `bodyBytes`. `bytes` are those of all bodies, and of the parts of those
 * that were cut off at the end.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";

/**
 * @typedef {{ port: number, host: string, hosts?: string[], path: string, connections: number, bodyBytes: number,
 *   milliseconds?: number, requests?: number, tls?: boolean, reconnects?: boolean }} Task
 * @typedef {{ requests: number, seconds: number, bytes: number, p50Ms: number, p99Ms: number }} Result
 */

const maxSamples = 1_000_000;
const statusLine = Buffer.from("HTTP/1.1 200 ");
const headEnd = Buffer.from("\r\n\r\n");

/** One connection: asks, reads the whole answer, and asks again for as long as it is told to. */
class Asker {
  #socket;
  #request;
  #run;
  #askedAt = 0;
  /** @type {Buffer} */
  #head = Buffer.alloc(0);
  /** Bytes of the body that are still to come; -1 while the head is. */
  #left = -1;

  #task;

  /** @param {Run} run @param {Task} task */
  constructor(run, task) {
    const { host, path } = task;
    this.#run = run;
    this.#task = task;
    this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`);
    this.#socket = this.#connect(() => run.connected());
  }

  /** @param {() => void} onConnected */
  #connect(onConnected) {
    const { port, host, tls } = this.#task;
    const target = { host: "127.0.0.1", port };
    const socket = tls ? connectTls({ ...target, servername: host, rejectUnauthorized: false }) : connect(target);
    socket.setNoDelay(true);
    socket.on(tls ? "secureConnect" : "connect", onConnected);
    socket.on("data", (chunk) => this.#take(/** @type {Buffer} */ (chunk)));
    socket.on("error", (error) => this.#lose(socket, error.message));
    socket.on("end", () => this.#lose(socket, "the connection was closed"));
    return socket;
  }

  /** @param {import("node:net").Socket} socket @param {string} reason */
  #lose(socket, reason) {
    if (socket === this.#socket) this.#run.fail(`port ${this.#task.port}: ${reason}`);
  }

  /** Of the body that has not come whole. */
  get partBytes() {
    return this.#left < 0 ? 0 : this.#run.bodyBytes - this.#left;
  }

  ask() {
    this.#askedAt = performance.now();
    this.#socket.write(this.#request);
  }

  end() {
    this.#socket.destroy();
  }

  /** @param {Buffer} chunk */
  #take(chunk) {
    if (this.#left < 0) {
      const read = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = read.indexOf(headEnd);
      if (end < 0) {
        this.#head = read;
        return;
      }
      if (read.compare(statusLine, 0, statusLine.length, 0, statusLine.length) !== 0) {
        return this.#run.fail(`answer: ${read.toString("latin1", 0, end)}`);
      }
      this.#head = this.#head.subarray(0, 0);
      this.#left = this.#run.bodyBytes - (read.length - end - headEnd.length);
    } else this.#left -= chunk.length;
    if (this.#left > 0) return;
    if (this.#left < 0) return this.#run.fail(`the answer has ${-this.#left} bytes more than ${this.#run.bodyBytes}`);
    this.#left = -1;
    if (!this.#run.answered(this.#askedAt)) return;
    if (!this.#task.reconnects) return this.ask();
    const old = this.#socket;
    this.#socket = this.#connect(() => this.ask());
    old.destroy();
  }
}

/** All connections of one task, from the first connect to the result. */
class Run {
  /** @type {Asker[]} */
  #askers = [];
  #task;
  #connecting;
  #startedAt = 0;
  #endsAt = Infinity;
  #answers = 0;
  #samples = new Float32Array(maxSamples);
  #resolve;
  #reject;

  /** @param {Task} task @param {(result: Result) => void} resolve @param {(error: Error) => void} reject */
  constructor(task, resolve, reject) {
    this.#task = task;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#connecting = task.connections;
    const { hosts = [task.host], connections } = task;
    for (let i = 0; i < connections; i++) {
      this.#askers.push(new Asker(this, { ...task, host: hosts[i % hosts.length] }));
    }
  }

  get bodyBytes() {
    return this.#task.bodyBytes;
  }

  /** The clock starts, and every connection asks, once all are there. */
  connected() {
    if (--this.#connecting > 0) return;
    this.#startedAt = performance.now();
    if (this.#task.milliseconds !== undefined) this.#endsAt = this.#startedAt + this.#task.milliseconds;
    for (const asker of this.#askers) asker.ask();
  }

  /** Counts an answer; false where no further request is wanted. @param {number} askedAt */
  answered(askedAt) {
    const now = performance.now();
    if (this.#answers < maxSamples) this.#samples[this.#answers] = now - askedAt;
    this.#answers++;
    const goesOn = now < this.#endsAt && this.#answers < (this.#task.requests ?? Infinity);
    if (!goesOn) this.#finish(now);
    return goesOn;
  }

  /** @param {string} reason */
  fail(reason) {
    this.#end();
    this.#reject(new Error(reason));
  }

  /** @param {number} now */
  #finish(now) {
    const partBytes = this.#askers.reduce((sum, asker) => sum + asker.partBytes, 0);
    this.#end();
    const sorted = this.#samples.subarray(0, Math.min(this.#answers, maxSamples)).sort();
    /** @param {number} share */
    const quantile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    this.#resolve({
      requests: this.#answers,
      seconds: (now - this.#startedAt) / 1000,
      bytes: this.#answers * this.bodyBytes + partBytes,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    });
  }

  #end() {
    for (const asker of this.#askers) asker.end();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const task = /** @type {Task} */ (JSON.parse(line));
    const result = await new Promise((resolve, reject) => new Run(task, resolve, reject));
    console.log(JSON.stringify(result));
  } catch (error) {
    console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  }
}
