/** What the fields of a head say about its message and its connection, read in one pass. */
import { Memo, showText } from "../../base/mod.ts";
import {
  addNominations,
  askedProtocols,
  equalsLower,
  type Fields,
  isConnectionChallenge,
  isProtocol,
  listHasToken,
  listMembers,
  parseLength,
  withoutFields,
} from "../../http/mod.ts";
import { HttpParseError, type MessageSide } from "./errors.ts";

export interface HeadFacts {
  /** The fields for the next hop, with Content-Length; of a request without Host. */
  fields: Fields;
  host: string | undefined;
  /** All values, joined with commas. */
  transferEncoding: string | undefined;
  /** -1 where there is no Content-Length. */
  contentLength: number;
  close: boolean;
  keepAlive: boolean;
  /** Connection lists `upgrade`. */
  asksUpgrade: boolean;
  upgrade: string | undefined;
  acceptsTrailers: boolean;
  /** Of a response: it asks for, or ends, authentication that belongs to the connection. */
  isConnectionAuth: boolean;
  /** The seconds of `Keep-Alive: timeout=N`; -1 where there are none. */
  keepAliveSeconds: number;
  /** Names that Connection nominates, in lower case: trailers of these names end at this hop, too. */
  nominated: ReadonlySet<string> | null;
}

const keepAliveTimes = new Memo((value) => Number(/(?:^|[,\s])timeout="?(\d{1,9})(?!\d)/i.exec(value)?.[1] ?? -1));

/**
 * @param fields of a `HeadScanner`, which has checked their syntax. The array is used for the result: fields that are
 *   left out are overwritten.
 * @throws {HttpParseError} 400 (responses: 502) for a repeated Host and for a Content-Length that is not one number
 */
export function gatherFacts(fields: string[], side: MessageSide): HeadFacts {
  const facts = noFacts(fields);
  let nominated: Set<string> | null = null;
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    let value = fields[i + 1];
    switch (name.length) {
      case 2:
        if (!equalsLower(name, "te")) break;
        facts.acceptsTrailers ||= listHasToken(value, "trailers");
        continue;
      case 4:
        if (side === "response" || !equalsLower(name, "host")) break;
        if (facts.host !== undefined) throw new HttpParseError(400, "There is more than one Host field");
        facts.host = value;
        continue;
      case 7:
        if (!equalsLower(name, "upgrade")) break;
        facts.upgrade = joined(facts.upgrade, value);
        continue;
      case 10:
        if (equalsLower(name, "keep-alive")) {
          facts.keepAliveSeconds = keepAliveTimes.get(value);
          continue;
        }
        if (!equalsLower(name, "connection")) break;
        // The value in most responses of most servers, which need not be split as a list.
        if (equalsLower(value, "keep-alive")) facts.keepAlive = true;
        else {
          readConnection(facts, value);
          nominated = addNominations(nominated, value);
        }
        continue;
      case 14:
        if (!equalsLower(name, "content-length")) {
          // It goes with an upgrade to h2c, and ends at this hop (RFC 7540 §3.2.1).
          if (side === "request" && equalsLower(name, "http2-settings")) continue;
          break;
        }
        if (facts.contentLength !== -1) {
          readSecondLength(facts, value, side);
          continue;
        }
        value = readContentLength(facts, value, side);
        break;
      case 15:
        // IIS says so of a connection that it has authenticated.
        if (equalsLower(name, "persistent-auth")) facts.isConnectionAuth ||= !equalsLower(value, "false");
        break;
      case 16:
        if (equalsLower(name, "proxy-connection")) continue;
        if (equalsLower(name, "www-authenticate")) facts.isConnectionAuth ||= isConnectionChallenge(value);
        break;
      case 17:
        if (!equalsLower(name, "transfer-encoding")) break;
        facts.transferEncoding = joined(facts.transferEncoding, value);
        continue;
      case 18:
        if (equalsLower(name, "proxy-authenticate")) facts.isConnectionAuth ||= isConnectionChallenge(value);
        break;
    }
    fields[kept++] = name;
    fields[kept++] = value;
  }
  fields.length = kept;
  if (nominated !== null) {
    facts.fields = withoutFields(fields, nominated);
    facts.nominated = nominated;
  }
  return facts;
}

function noFacts(fields: Fields): HeadFacts {
  return {
    fields,
    host: undefined,
    transferEncoding: undefined,
    contentLength: -1,
    close: false,
    keepAlive: false,
    asksUpgrade: false,
    upgrade: undefined,
    acceptsTrailers: false,
    isConnectionAuth: false,
    keepAliveSeconds: -1,
    nominated: null,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function readConnection(facts: HeadFacts, value: string): void {
  facts.close ||= listHasToken(value, "close");
  facts.keepAlive ||= listHasToken(value, "keep-alive");
  facts.asksUpgrade ||= listHasToken(value, "upgrade");
}

/**
 * A request must have one length, in digits. A response may repeat the same length, as RFC 9110 §8.6 allows. Returns
 * the value for the next hop.
 */
function readContentLength(facts: HeadFacts, value: string, side: MessageSide): string {
  const length = parseLength(value);
  if (length === -1) return readLengths(facts, value, side);
  facts.contentLength = length;
  return value;
}

/** A second Content-Length field, which is not passed on. */
function readSecondLength(facts: HeadFacts, value: string, side: MessageSide): void {
  if (side === "request") throw new HttpParseError(400, "There is more than one Content-Length field");
  readLengths(facts, value, side);
}

function readLengths(facts: HeadFacts, value: string, side: MessageSide): string {
  const values = side === "response" && value.includes(",") ? listMembers(value) : [value];
  if (values.length === 0) values.push("");
  for (const text of values) {
    const length = parseLength(text);
    if (length === -1 || (facts.contentLength !== -1 && length !== facts.contentLength)) {
      throw HttpParseError.for(side, 400, `The Content-Length ${showText(value)} is not one number of bytes`);
    }
    facts.contentLength = length;
  }
  return values[0];
}

/**
 * True for a request's body in chunks (RFC 9112 §6.1).
 *
 * @throws {HttpParseError} 400 for another Transfer-Encoding, one beside a Content-Length, and one in HTTP/1.0
 */
export function isChunkedRequest(facts: HeadFacts, version: "1.0" | "1.1"): boolean {
  const { transferEncoding, contentLength } = facts;
  if (transferEncoding === undefined) return false;
  if (contentLength !== -1) throw new HttpParseError(400, "Both Transfer-Encoding and Content-Length are there");
  if (version === "1.0") throw new HttpParseError(400, "Transfer-Encoding stands in an HTTP/1.0 request");
  if (transferEncoding.toLowerCase() === "chunked") return true;
  throw new HttpParseError(400, `The Transfer-Encoding is ${showText(transferEncoding)}, not "chunked"`);
}

/** What Transfer-Encoding says of a response's body. */
export type ResponseCoding =
  /** It does not stand there. */
  | "none"
  /** It is `chunked`. */
  | "chunked"
  /** It is `chunked`, but repeated, beside `identity`, or beside a Content-Length, which chunks overrule. */
  | "irregular chunked"
  /** It is `identity`, which says nothing (RFC 2616 §4.4). */
  | "identity";

/** @throws {HttpParseError} 502 where it has another coding, or none at all */
export function responseCoding(facts: HeadFacts): ResponseCoding {
  const { transferEncoding, contentLength } = facts;
  if (transferEncoding === undefined) return "none";
  const hasLength = contentLength !== -1;
  if (equalsLower(transferEncoding, "chunked")) return hasLength ? "irregular chunked" : "chunked";
  const codings = listMembers(transferEncoding);
  const isChunked = codings.some((coding) => equalsLower(coding, "chunked"));
  const isKnown = codings.every((coding) => equalsLower(coding, "chunked") || equalsLower(coding, "identity"));
  if (isKnown && codings.length > 0) return isChunked ? "irregular chunked" : "identity";
  throw new HttpParseError(502, `The Transfer-Encoding is ${showText(transferEncoding)}, not "chunked"`);
}

/** The protocols that a request asks for, as in `RequestHead.upgrade`. */
export function askedUpgrade({ asksUpgrade, upgrade }: HeadFacts): string | undefined {
  return asksUpgrade && upgrade !== undefined ? askedProtocols(upgrade) : undefined;
}

/** The one protocol that is agreed. Never `h2c`: HTTP/2 is not tunneled in this way. */
export function upgradeToken(facts: HeadFacts): string | undefined {
  const { asksUpgrade, upgrade } = facts;
  if (!asksUpgrade || upgrade === undefined || equalsLower(upgrade, "h2c")) return undefined;
  return isProtocol(upgrade) ? upgrade : undefined;
}
