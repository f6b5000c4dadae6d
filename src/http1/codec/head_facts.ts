/** What a head's fields say about its message and its connection, gathered in one walk. */
import { showText } from "../../base/mod.ts";
import { HttpParseError, type MessageSide } from "./errors.ts";
import {
  addNominations,
  equalsLower,
  type Fields,
  isProtocol,
  listHasToken,
  listMembers,
  parseLength,
} from "../../http/mod.ts";

export interface HeadFacts {
  /** What goes on to the next hop; of a request without Host. Content-Length is among them. */
  fields: Fields;
  host: string | undefined;
  /** All values, joined with a comma: a repeated field is then no single `chunked`. */
  transferEncoding: string | undefined;
  /** -1 where there is no Content-Length. */
  contentLength: number;
  close: boolean;
  keepAlive: boolean;
  /** Connection lists `upgrade`. */
  asksUpgrade: boolean;
  upgrade: string | undefined;
  acceptsTrailers: boolean;
}

/**
 * @param fields as `HeadScanner` gives them: their syntax is right. The array becomes that of the facts: what stays
 *   moves up over what goes.
 * @throws {HttpParseError} 400 (answers: 502) for a repeated Host and for a Content-Length that is not one number.
 */
export function gatherFacts(fields: string[], side: MessageSide): HeadFacts {
  const facts: HeadFacts = {
    fields,
    host: undefined,
    transferEncoding: undefined,
    contentLength: -1,
    close: false,
    keepAlive: false,
    asksUpgrade: false,
    upgrade: undefined,
    acceptsTrailers: false,
  };
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
        if (side === "answer" || !equalsLower(name, "host")) break;
        if (facts.host !== undefined) throw new HttpParseError(400, "There is more than one Host field");
        facts.host = value;
        continue;
      case 7:
        if (!equalsLower(name, "upgrade")) break;
        facts.upgrade = joined(facts.upgrade, value);
        continue;
      case 10:
        if (equalsLower(name, "keep-alive")) continue;
        if (!equalsLower(name, "connection")) break;
        // What most answers of most servers say, without taking it for a list.
        if (equalsLower(value, "keep-alive")) facts.keepAlive = true;
        else {
          readConnection(facts, value);
          nominated = addNominations(nominated, value);
        }
        continue;
      case 14:
        if (!equalsLower(name, "content-length")) break;
        if (facts.contentLength !== -1) {
          readAgain(facts, value, side);
          continue;
        }
        value = readContentLength(facts, value, side);
        break;
      case 16:
        if (equalsLower(name, "proxy-connection")) continue;
        break;
      case 17:
        if (!equalsLower(name, "transfer-encoding")) break;
        facts.transferEncoding = joined(facts.transferEncoding, value);
        continue;
    }
    fields[kept++] = name;
    fields[kept++] = value;
  }
  fields.length = kept;
  if (nominated !== null) facts.fields = withoutNominated(fields, nominated);
  return facts;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function withoutNominated(fields: string[], nominated: ReadonlySet<string>): Fields {
  const left: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!nominated.has(fields[i].toLowerCase())) left.push(fields[i], fields[i + 1]);
  }
  return left;
}

function readConnection(facts: HeadFacts, value: string): void {
  facts.close ||= listHasToken(value, "close");
  facts.keepAlive ||= listHasToken(value, "keep-alive");
  facts.asksUpgrade ||= listHasToken(value, "upgrade");
}

/**
 * A request says its length once, in digits. An answer may say the same length more than once, as RFC 9110 §8.6
 * allows to accept; it goes on once, as what this returns.
 */
function readContentLength(facts: HeadFacts, value: string, side: MessageSide): string {
  const length = parseLength(value);
  if (length === -1) return readLengths(facts, value, side);
  facts.contentLength = length;
  return value;
}

/** A second Content-Length field, which does not go on. */
function readAgain(facts: HeadFacts, value: string, side: MessageSide): void {
  if (side === "request") throw new HttpParseError(400, "There is more than one Content-Length field");
  readLengths(facts, value, side);
}

function readLengths(facts: HeadFacts, value: string, side: MessageSide): string {
  const values = side === "answer" && value.includes(",") ? listMembers(value) : [value];
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

/** The one protocol that is asked for or agreed. Never `h2c`: HTTP/2 is not tunnelled so. */
export function upgradeToken(facts: HeadFacts): string | undefined {
  const { asksUpgrade, upgrade } = facts;
  if (!asksUpgrade || upgrade === undefined || equalsLower(upgrade, "h2c")) return undefined;
  return isProtocol(upgrade) ? upgrade : undefined;
}
