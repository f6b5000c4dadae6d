/** What the tests of the codec share: text as bytes, and input cut at arbitrary places. */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { BodyDecoder } from "../../../src/http1/codec/body_decoder.ts";
import type { Framing } from "../../../src/http1/codec/framing.ts";
import { HttpParseError, type MessageSide } from "../../../src/http1/codec/errors.ts";
import { defaultLimits, type HttpLimits } from "../../../src/http1/codec/limits.ts";
import type { Fields } from "../../../src/http/message.ts";
import { type ParsedRequest, RequestParser } from "../../../src/http1/codec/request_parser.ts";
import { type ParsedResponse, ResponseParser } from "../../../src/http1/codec/response_parser.ts";

/** Characters up to 0xFF as the bytes that they stand for. */
export function toBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

export function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** `bytes` cut at each offset of `cuts` that lies in it. */
export function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const offsets = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((one, other) => one - other);
  return [0, ...offsets].map((from, i) => bytes.subarray(from, offsets[i] ?? bytes.length));
}

export const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat(), { maxLength: 12 });

/** One of `texts` with one byte changed. */
export function nearTo(texts: readonly string[]): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.constantFrom(...texts), fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
    const bytes = toBytes(text);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
}

/** The request that `text` is, with what is behind it; throws what the parser throws. */
export function readRequest(text: string, limits?: HttpLimits): { request: ParsedRequest | null; rest: string } {
  const parser = new RequestParser(limits);
  return { request: parser.push(toBytes(text)), rest: toText(parser.takeRest()) };
}

export function readAnswer(text: string, method = "GET"): { answer: ParsedResponse | null; rest: string } {
  const parser = new ResponseParser();
  return { answer: parser.push(toBytes(text), method), rest: toText(parser.rest) };
}

/** How reading ended, in a form that can be compared: what was read, or which error came. */
export type Outcome = { read: unknown } | { status: number; code: string; reason: string };

/** Runs `read`; an error that is no `HttpParseError` is a fault of the codec and passes through. */
export function outcomeOf(read: () => unknown): Outcome {
  try {
    return { read: read() };
  } catch (error) {
    if (!(error instanceof HttpParseError)) throw error;
    return { status: error.status, code: error.code, reason: error.reason };
  }
}

/** A stream of requests with their bodies, as a server reads them. `open`: what was begun and did not end. */
export interface ReadStream {
  messages: { head: ParsedRequest; body: string; trailers: Fields }[];
  open: "nothing" | "head" | "body";
}

export function readRequests(chunks: readonly Uint8Array[], limits: HttpLimits = defaultLimits): ReadStream {
  const parser = new RequestParser(limits);
  const messages: ReadStream["messages"] = [];
  let head: ParsedRequest | null = null;
  let decoder = new BodyDecoder({ kind: "none" }, limits);
  let body = "";
  for (const chunk of chunks) {
    let rest: Uint8Array | null = chunk;
    while (rest !== null && (rest.length > 0 || head !== null)) {
      if (head === null) {
        head = parser.push(rest);
        if (head === null) break;
        rest = parser.takeRest();
        decoder = new BodyDecoder(head.framing, limits);
        body = "";
      }
      rest = decoder.push(rest, (slice) => body += toText(slice));
      if (rest === null) break;
      messages.push({ head, body, trailers: decoder.trailers });
      head = null;
    }
  }
  return { messages, open: head !== null ? "body" : parser.hasStarted ? "head" : "nothing" };
}

/** A body decoded from chunks: its content, its trailers, and the bytes behind it, or null while it goes on. */
export function readBody(
  framing: Framing,
  chunks: readonly Uint8Array[],
  limits?: HttpLimits,
  side?: MessageSide,
): { body: string; trailers: Fields; rest: string | null } {
  const decoder = new BodyDecoder(framing, limits, side);
  let body = "";
  let rest = decoder.isDone ? "" : null;
  for (const chunk of chunks) {
    const behind = decoder.push(chunk, (slice) => body += toText(slice));
    if (behind !== null) rest = (rest ?? "") + toText(behind);
  }
  return { body, trailers: decoder.trailers, rest };
}
