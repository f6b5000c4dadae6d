/** How a head travels on a stream: its own facts as pseudo-fields (after RFC 9113 §8.3), then the fields as they are. */
import { equalsLower, ExchangeError, type Fields, parseLength, type RequestHead } from "../../http/mod.ts";

const COLON = 0x3a;

/** `:client` and `:request-id` are Runnel's; `:protocol` is the token of an upgrade (after RFC 8441). */
export function requestFields(head: RequestHead): Fields {
  const fields = [":method", head.method, ":scheme", head.scheme, ":authority", head.authority, ":path", head.target];
  fields.push(":client", head.client, ":request-id", head.id);
  if (head.upgrade !== undefined) fields.push(":protocol", head.upgrade);
  for (let index = 0; index < head.fields.length; index++) fields.push(head.fields[index] as string);
  return fields;
}

export function answerFields(status: number, fields: Fields): Fields {
  const all = [":status", String(status)];
  for (let index = 0; index < fields.length; index++) all.push(fields[index] as string);
  return all;
}

/** What of a request's head is no text. */
export type RequestHooks = Pick<RequestHead, "onInformational" | "trailers">;
const noHooks: RequestHooks = {};

/** The facts of a request's head, and the fields behind them. Throws `ExchangeError` where one is missing. */
export function parseRequest(received: Fields, hooks: RequestHooks = noHooks): RequestHead {
  let method, target, upgrade: string | undefined;
  let scheme = "", authority = "", client = "", id = "";
  const end = pseudoEnd(received);
  for (let index = 0; index < end; index += 2) {
    const value = received[index + 1] as string;
    switch (received[index]) {
      case ":method":
        method = value;
        break;
      case ":path":
        target = value;
        break;
      case ":scheme":
        scheme = value;
        break;
      case ":authority":
        authority = value;
        break;
      case ":client":
        client = value;
        break;
      case ":request-id":
        id = value;
        break;
      case ":protocol":
        upgrade = value;
    }
  }
  if (method === undefined || target === undefined) {
    throw new ExchangeError("bad_request", "a stream was opened without :method and :path");
  }
  return {
    method,
    target,
    scheme: scheme === "https" ? "https" : "http",
    authority,
    fields: received.slice(end),
    upgrade,
    client,
    id,
    onInformational: hooks.onInformational,
    trailers: hooks.trailers,
  };
}

/** The target of a request's head, without a look at the rest; undefined where it has none. */
export function targetOf(received: Fields): string | undefined {
  return pseudoValue(received, ":path", pseudoEnd(received));
}

/** Status and fields of an answer's head, final or interim. Throws `ExchangeError` where there is no status. */
export function parseAnswer(received: Fields): { status: number; fields: Fields } {
  const end = pseudoEnd(received);
  const status = Number(pseudoValue(received, ":status", end));
  if (!(status >= 100 && status <= 999)) throw new ExchangeError("upstream_invalid", "an answer came without :status");
  return { status, fields: received.slice(end) };
}

/**
 * The Content-Length that a body must have; null where there is none. Throws `ExchangeError` where it stands twice or
 * is no number: a peer that means well sends neither.
 */
export function announcedLength(fields: Fields): number | null {
  let announced: number | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    if (!equalsLower(fields[index] as string, "content-length")) continue;
    const value = fields[index + 1] as string;
    const length: number = announced === null ? parseLength(value) : -1;
    if (length < 0) {
      throw new ExchangeError("upstream_invalid", `Content-Length ${JSON.stringify(value)} is no one number`);
    }
    announced = length;
  }
  return announced;
}

/** Where the pseudo-fields end, which come first. */
function pseudoEnd(received: Fields): number {
  let end = 0;
  while (end < received.length && (received[end] as string).charCodeAt(0) === COLON) end += 2;
  return end;
}

function pseudoValue(received: Fields, name: string, end: number): string | undefined {
  for (let index = 0; index < end; index += 2) if (received[index] === name) return received[index + 1];
  return undefined;
}
