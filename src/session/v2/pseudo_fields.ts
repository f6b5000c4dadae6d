/**
 * How a head is written on a stream: method, target and the like as pseudo-fields (after RFC 9113 §8.3), then the fields
 * as they are.
 */
import { Feature } from "../../httpstream/mod.ts";
import {
  type Answer,
  equalsLower,
  ExchangeError,
  type Fields,
  isAsked,
  listedProtocols,
  parseLength,
  type RequestHead,
  unusualReason,
} from "../../http/mod.ts";

const COLON = 0x3a;

/**
 * A request's head. `:client`, `:request-id` and `:tunnel` are Runnel's own; `:protocol` has the protocols of an upgrade
 * (after RFC 8441).
 */
export function requestFields(head: RequestHead): Fields {
  const fields = [":method", head.method, ":scheme", head.scheme, ":authority", head.authority, ":path", head.target];
  fields.push(":client", head.client, ":request-id", head.requestId ?? head.id);
  if (head.upgrade !== undefined) fields.push(":protocol", head.upgrade);
  if (head.visitorConnection !== undefined) fields.push(":visitor-connection", head.visitorConnection);
  if (head.tunnel !== undefined) fields.push(":tunnel", head.tunnel);
  for (let index = 0; index < head.fields.length; index++) fields.push(head.fields[index] as string);
  return fields;
}

/** An interim answer's head. */
export function interimFields(status: number, fields: Fields): Fields {
  return withPseudoFields([":status", String(status)], fields);
}

/**
 * A final answer's head. `:protocol` is what a 101 agrees to, or a 426 asks for.
 *
 * @param peerFeatures the peer's bits of `Feature`: those of the first version refuse white space in `:reason`
 */
export function answerFields({ status, reason, fields, upgrade }: Answer, peerFeatures: number): Fields {
  const all = [":status", String(status)];
  if (reason !== undefined && (peerFeatures & Feature.REASON) !== 0) all.push(":reason", reason);
  const protocols = upgrade === undefined ? undefined : protocolsOf(status, upgrade);
  if (protocols !== undefined) all.push(":protocol", protocols);
  return withPseudoFields(all, fields);
}

function protocolsOf(status: number, upgrade: string): string | undefined {
  if (status === 101) return upgrade;
  return status === 426 ? listedProtocols(upgrade) : undefined;
}

function withPseudoFields(all: string[], fields: Fields): Fields {
  for (let index = 0; index < fields.length; index++) all.push(fields[index] as string);
  return all;
}

/** The members of a request's head that are functions, and so not on the wire. */
export type RequestHooks = Pick<RequestHead, "onInformational" | "trailers">;
const noHooks: RequestHooks = {};

/**
 * The request's head that `requestFields` wrote.
 *
 * @throws {ExchangeError} `bad_request` without `:method` or `:path`
 */
export function parseRequest(received: Fields, hooks: RequestHooks = noHooks): RequestHead {
  let method, target, upgrade, visitorConnection, tunnel: string | undefined;
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
        break;
      case ":visitor-connection":
        visitorConnection = value;
        break;
      case ":tunnel":
        tunnel = value;
    }
  }
  if (method === undefined || target === undefined) {
    throw new ExchangeError("bad_request", "A stream was opened without :method and :path");
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
    requestId: undefined,
    isProxied: undefined,
    visitorConnection,
    tunnel,
    onInformational: hooks.onInformational,
    trailers: hooks.trailers,
    meter: undefined,
  };
}

/**
 * The head of the stream by which an edge tells an agent that it has lost a tunnel. Its body is JSON: `code` and
 * `reason`. No request of a visitor can have such a pseudo-field.
 */
export function tunnelLostFields(tunnel: string, authority: string): Fields {
  const path = `/api/agent/tunnels/${tunnel}`;
  return [":method", "DELETE", ":scheme", "http", ":authority", authority, ":path", path, ":tunnel-lost", tunnel];
}

/** The tunnel that the head of `tunnelLostFields` names; undefined for another head. */
export function lostTunnelOf(received: Fields): string | undefined {
  return pseudoValue(received, ":tunnel-lost", pseudoEnd(received));
}

/** The target in a request's head, without parsing the rest; undefined where there is none. */
export function targetOf(received: Fields): string | undefined {
  return pseudoValue(received, ":path", pseudoEnd(received));
}

/** What an answer's head says. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string | undefined;
  readonly fields: Fields;
  /** What a 426 asks for. */
  readonly upgrade: string | undefined;
}

/**
 * An answer's head, final or interim.
 *
 * @throws {ExchangeError} `upstream_invalid` without a `:status` from 100 to 999
 */
export function parseAnswer(received: Fields): AnswerHead {
  const end = pseudoEnd(received);
  const status = Number(pseudoValue(received, ":status", end));
  if (!(status >= 100 && status <= 999)) throw new ExchangeError("upstream_invalid", "An answer came without :status");
  const fields = received.slice(end);
  // Most have nothing but their status.
  if (end === 2) return { status, reason: undefined, fields, upgrade: undefined };
  const reason = pseudoValue(received, ":reason", end);
  return {
    status,
    reason: reason === undefined ? undefined : unusualReason(status, reason),
    fields,
    upgrade: status === 426 ? listedProtocols(pseudoValue(received, ":protocol", end) ?? "") : undefined,
  };
}

/**
 * The protocol that a 101 agrees to, among those that were asked for. Earlier agents do not name it: they agree to the
 * one that was.
 *
 * @throws {ExchangeError} `upstream_invalid` for another one
 */
export function agreedProtocol(received: Fields, asked: string | undefined): string {
  const agreed = pseudoValue(received, ":protocol", pseudoEnd(received)) ?? asked;
  if (asked !== undefined && agreed !== undefined && isAsked(asked, agreed)) return agreed;
  throw new ExchangeError("upstream_invalid", `A 101 to ${agreed ?? "nothing"} came, asked was ${asked ?? "nothing"}`);
}

/**
 * The Content-Length that a body must have; null where there is none.
 *
 * @throws {ExchangeError} `upstream_invalid` where it occurs twice or is no number. Our own agent and edge send neither.
 */
export function announcedLength(fields: Fields): number | null {
  let announced: number | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    if (!equalsLower(fields[index] as string, "content-length")) continue;
    const value = fields[index + 1] as string;
    const length: number = announced === null ? parseLength(value) : -1;
    if (length < 0) {
      throw new ExchangeError("upstream_invalid", "The Content-Length is not one number");
    }
    announced = length;
  }
  return announced;
}

/** The index of the first field that is no pseudo-field. */
function pseudoEnd(received: Fields): number {
  let end = 0;
  while (end < received.length && (received[end] as string).charCodeAt(0) === COLON) end += 2;
  return end;
}

function pseudoValue(received: Fields, name: string, end: number): string | undefined {
  for (let index = 0; index < end; index += 2) if (received[index] === name) return received[index + 1];
  return undefined;
}
