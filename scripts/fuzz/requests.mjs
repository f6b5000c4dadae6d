// @ts-check
/**
 * Visitors' requests through a whole tunnel. Node's own server gets the same bytes: what the upstream receives must be
 * what that server accepts, in its order, each request once, or less of it, since the edge refuses more.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { conversations, host, mark } from "./request_cases.mjs";

/** @typedef {import("./request_cases.mjs").Conversation} Conversation */
/** @typedef {{ method: string, target: string, fields: string[], body: string, isWhole: boolean }} Received */

/** Far more than any takes, also on a busy machine. */
const answerLimitMs = 60_000;
/** How many conversations back a request may still arrive. */
const remembered = 100;
/** Node refuses methods that it does not know, and bytes above 0x7f in a target; a tunnel passes both. */
const stricterCodes = new Set(["HPE_INVALID_METHOD", "HPE_INVALID_URL"]);
/** What becomes of a connection that ends within a request: a visitor that breaks off does that to its upstream. */
const lostCodes = new Set(["ECONNRESET", "HPE_INVALID_EOF_STATE"]);

/** A server that keeps what it receives, and answers each request with its target. */
class Recorder {
  /** @type {Received[]} */
  received = [];
  /** What it could not read: an agent that sends such a thing is at fault. @type {string[]} */
  faults = [];
  port = 0;
  #server;

  constructor() {
    this.#server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (request, answer) => {
      const { method = "", url: target = "", rawHeaders: fields } = request;
      const entry = { method, target, fields, body: "", isWhole: false };
      if (target !== "/small") this.received.push(entry);
      request.on("data", (part) => entry.body += part.toString("latin1"));
      request.on("error", () => {});
      request.on("end", () => {
        entry.isWhole = true;
        const text = Buffer.from(target, "latin1");
        answer.writeHead(200, { "Content-Length": text.length, "X-Fuzz-Target": "1" });
        answer.end(text);
      });
    });
    this.#server.on("clientError", (error, socket) => {
      this.faults.push(/** @type {NodeJS.ErrnoException} */ (error).code ?? error.message);
      socket.destroy();
    });
  }

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = /** @type {import("node:net").AddressInfo} */ (this.#server.address()).port;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** What came since the last call. */
  take() {
    const { received, faults } = this;
    this.received = [];
    this.faults = [];
    return { received, faults };
  }
}

/**
 * Sends the text in pieces, then FIN.
 * @param {number} port @param {Conversation} conversation @returns {Promise<string>} all answers
 */
async function converse(port, { text, cuts }) {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
  let answers = "";
  socket.on("data", (part) => answers += part.toString("latin1"));
  socket.on("error", () => {});
  const closed = new Promise((resolve) => {
    socket.on("close", () => resolve("closed"));
    socket.on("end", () => {
      resolve("ended");
      socket.destroy();
    });
  });
  const places = [0, ...cuts.map((cut) => Math.floor(cut * text.length)).sort((a, b) => a - b), text.length];
  for (let index = 1; index < places.length; index++) {
    const piece = text.slice(places[index - 1], places[index]);
    if (piece === "" || socket.destroyed) continue;
    socket.write(Buffer.from(piece, "latin1"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  const end = await Promise.race([closed, sleep(answerLimitMs, "late", { ref: false })]);
  socket.destroy();
  if (end === "late") throw new Error(`the connection was not closed within ${answerLimitMs / 1000} s of its FIN`);
  return answers;
}

/** The fields that the cases invent, as they must arrive. @param {Received} request */
const ownFields = ({ fields }) => {
  const own = [];
  const hop = connectionOptions(fields);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index].toLowerCase();
    if (name.startsWith("x-fuzz") && !hop.has(name)) own.push(`${fields[index]}: ${fields[index + 1]}`);
  }
  return own;
};

/** The names that Connection says to end here (RFC 9110 §7.6.1). @param {readonly string[]} fields */
function connectionOptions(fields) {
  const names = new Set();
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index].toLowerCase() !== "connection") continue;
    for (const word of fields[index + 1].split(",")) names.add(word.trim().toLowerCase());
  }
  return names;
}

/**
 * What means the same to us, but not to Node: it reads chunk extensions, which may be ignored (RFC 9112 §7.1.1), and
 * refuses fields of framing in trailers, which may be dropped (RFC 9110 §6.5.1); behind an upgrade that it does not take
 * it reads no further request.
 * @param {Conversation} conversation
 */
function plainer({ text, cuts }) {
  const plain = text.replace(/^([0-9a-f]+)[ \t]*;[^\r\n]*(?=\r\n)/gim, "$1")
    .replace(/^0+\r\n(?:Content-Length: 5|Transfer-Encoding: chunked)\r\n\r\n/gm, "0\r\n\r\n")
    .replace(/^Upgrade:/gim, "X-Upgrade:");
  return { text: plain, cuts };
}

/** The conversation that a target is of. @param {string} target */
const numberOf = (target) => /(c\d+)-/.exec(target)?.[1];

/** The path of a target, which may be in absolute form. @param {string} target */
const originForm = (target) => target.replace(/^http:\/\/[^/?#]*/i, "") || "/";

/** @param {Received} request */
const shown = (request) =>
  JSON.stringify({ ...request, fields: ownFields(request), target: originForm(request.target) });

/** The targets in the answers of the upstream, in order. @param {string} answers */
function answeredTargets(answers) {
  const heads = answers.matchAll(
    /HTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*?Content-Length: (\d+)\r\n(?:[^\r\n]+\r\n)*\r\n/gi,
  );
  return Array.from(heads).filter(([head]) => /x-fuzz-target/i.test(head)).map((match) => {
    const from = match.index + match[0].length;
    return answers.slice(from, from + Number(match[1]));
  });
}

/** @implements {Fuzzer} @typedef {import("./main.mjs").Fuzzer} Fuzzer */
export class RequestFuzzer {
  cases = conversations;
  #upstream = new Recorder();
  #reference = new Recorder();
  #port = 0;
  #count = 0;
  /**
   * By the number of a conversation what may still come of it; null where that is not known. A request may come when
   * its visitor has left.
   * @type {Map<string, Received[] | null>}
   */
  #sent = new Map();

  /** @param {import("./tunnel.mjs").Tunnel} tunnel */
  async start(tunnel) {
    await this.#upstream.start();
    await this.#reference.start();
    this.#port = tunnel.port;
    await tunnel.startAgent(host.split(".")[0], this.#upstream.port);
  }

  /** @param {Conversation} conversation */
  async check({ text, cuts }) {
    const conversation = { text: text.replaceAll(mark, `c${++this.#count}`), cuts };
    const answers = await converse(this.#port, conversation);
    const { received, faults } = this.#upstream.take();
    await converse(this.#reference.port, plainer(conversation));
    const reference = this.#reference.take();
    const fault = faults.find((code) => !stricterCodes.has(code) && !lostCodes.has(code));
    if (fault !== undefined) throw new Error(`the agent sent what no server reads: ${fault}`);
    // Behind what Node alone refuses, it cannot say what must come.
    const isKnown = !reference.faults.some((code) => stricterCodes.has(code));
    this.#sent.set(`c${this.#count}`, isKnown ? reference.received.filter(({ isWhole }) => isWhole) : null);
    if (this.#sent.size > remembered) this.#sent.delete(/** @type {string} */ (this.#sent.keys().next().value));
    for (const request of received) if (request.isWhole) this.#judge(request);
    const targets = answeredTargets(answers);
    const own = received.filter(({ isWhole, target }) =>
      isWhole && (numberOf(target) ?? `c${this.#count}`) === `c${this.#count}`
    );
    const whole = own.map(({ target }) => target);
    // Answers may be missing where the edge has closed, but those that came are in order.
    if (targets.some((target, index) => target !== whole[index])) {
      throw new Error(`answers are not those of their requests: ${JSON.stringify({ targets, whole })}`);
    }
  }

  /** @param {Conversation} conversation */
  show({ text, cuts }) {
    const places = cuts.map((cut) => Math.floor(cut * text.length)).sort((a, b) => a - b);
    return `${JSON.stringify(text)}, cut at ${JSON.stringify(places)}`;
  }

  async stop() {
    this.#upstream.stop();
    this.#reference.stop();
    await Promise.resolve();
  }

  /** Throws where `request` is none that was sent, in its order. @param {Received} request */
  #judge(request) {
    const number = numberOf(request.target) ?? `c${this.#count}`;
    const sent = this.#sent.get(number);
    if (sent === null) return;
    const at = sent?.findIndex((item) => shown(item) === shown(request)) ?? -1;
    if (sent === undefined || at < 0) {
      const others = sent?.map(shown).join("\n       ");
      throw new Error(
        `the upstream received what was not sent so: ${shown(request)}\n     sent: ${others || "nothing"}`,
      );
    }
    sent.splice(0, at + 1);
  }
}
