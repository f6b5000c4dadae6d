// @ts-check
/** A visitor that says how its request ended: with the whole answer, or how it was lost. */
import { connect } from "node:net";

/**
 * @typedef {{ port: number, host: string }} Place where a subject listens, and the Host to ask it for
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {number} [length] the Content-Length; without it there is no body
 * @property {number} [sent] bytes of the body that are sent, by default all of them
 * @property {boolean} [readsLast] whether it reads nothing before it has sent that, as simple clients do
 */

const pieceBytes = 16 * 1024;
const limitMs = 10_000;

/**
 * One request on a connection of its own. Resolves to the answer's status where all of it came, else to the words for
 * what happened, with what came of the body.
 * @param {Place} place @param {Request} request @returns {Promise<{ outcome: number | string, body: string }>}
 */
export function ask(place, request) {
  return new Promise((resolve) => {
    const socket = connect({ port: place.port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const answer = new AnswerReader();
    /** @param {number | string} outcome */
    const finish = (outcome) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ outcome, body: answer.body });
    };
    const timer = setTimeout(() => finish("no answer in time"), limitMs);
    socket.on("connect", () => send(socket, place, request));
    socket.setEncoding("latin1").on("data", (text) => {
      answer.push(String(text));
      if (answer.isComplete) finish(answer.status);
    });
    socket.on("end", () => finish(answer.isCompleteAtEnd ? answer.status : answer.loss("ended")));
    socket.on("error", () => finish(answer.loss("reset")));
    if (request.readsLast) socket.pause();
  });
}

/** @param {import("node:net").Socket} socket @param {Place} place @param {Request} request */
function send(socket, { host }, { method, path, length, sent = length ?? 0, readsLast }) {
  const framing = length === undefined ? "" : `Content-Length: ${length}\r\n`;
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n`);
  sendPieces(socket, sent, () => readsLast && socket.resume());
}

/**
 * In pieces with turns of the event loop between them, as a body comes that is read from somewhere.
 * @param {import("node:net").Socket} socket @param {number} left @param {() => void} then
 */
function sendPieces(socket, left, then) {
  if (socket.destroyed) return;
  if (left === 0) return then();
  const bytes = Math.min(left, pieceBytes);
  socket.write(Buffer.alloc(bytes, "x"), () => setImmediate(() => sendPieces(socket, left - bytes, then)));
}

/** Knows from what came whether the answer is whole (RFC 9112 §6.3). */
class AnswerReader {
  #text = "";

  /** @param {string} text */
  push(text) {
    this.#text += text;
  }

  get body() {
    return this.#parts.body;
  }

  get status() {
    return Number(this.#text.slice(9, 12));
  }

  get isComplete() {
    const { fields, body } = this.#parts;
    if (fields === null) return false;
    const length = fields.match(/^content-length: *(\d+)/im)?.[1];
    if (length !== undefined) return body.length >= Number(length);
    return /^transfer-encoding: *chunked/im.test(fields) && /(^|\r\n)0\r\n\r\n$/.test(body);
  }

  /** Without a length the end of the connection is that of the answer. */
  get isCompleteAtEnd() {
    const { fields } = this.#parts;
    return fields !== null && !/^(content-length|transfer-encoding):/im.test(fields);
  }

  /** @param {string} how the connection ended */
  loss(how) {
    if (this.#text === "") return `${how} before the answer`;
    return `${how} in the answer`;
  }

  get #parts() {
    const end = this.#text.indexOf("\r\n\r\n");
    return end < 0 ? { fields: null, body: "" } : { fields: this.#text.slice(0, end), body: this.#text.slice(end + 4) };
  }
}
