/**
 * Upgrades (RFC 9110 §7.8). The body of a request that asks for one is its content, as many bytes as Content-Length says
 * and none without one, and behind it what the client sends in the new protocol, which comes after a 101 alone.
 */
import { cancelBody, splitBody, streamOf } from "./body/mod.ts";
import { equalsLower, fieldValue, isProtocol, listMembers, parseLength } from "./fields.ts";
import type { Body, RequestHead } from "./message.ts";
import { ExchangeError } from "./problems.ts";

/**
 * The protocols that a value of Upgrade asks for, joined by commas alone: without `h2c`, since HTTP/2 is not tunneled in
 * this way. Undefined where none is left, and where one of them is malformed.
 */
export function askedProtocols(value: string): string | undefined {
  if (isProtocol(value)) return equalsLower(value, "h2c") ? undefined : value;
  const members = listMembers(value);
  if (!members.every(isProtocol)) return undefined;
  const asked = members.filter((member) => !equalsLower(member, "h2c"));
  return asked.length === 0 ? undefined : asked.join(",");
}

/** True where `agreed` is one of the protocols in `asked`. A version is compared only where both have one. */
export function isAsked(asked: string, agreed: string): boolean {
  const [name, version] = agreed.toLowerCase().split("/");
  return asked.toLowerCase().split(",").some((member) => {
    const [askedName, askedVersion] = member.split("/");
    const isSameVersion = version === undefined || askedVersion === undefined || version === askedVersion;
    return askedName === name && isSameVersion;
  });
}

/**
 * The length of the content of a request that asks for an upgrade.
 *
 * @throws {ExchangeError} `bad_request` for a Content-Length that is no number
 */
export function upgradeContentLength({ fields }: RequestHead): number {
  const value = fieldValue(fields, "content-length");
  const length = value === undefined ? 0 : parseLength(value);
  if (length >= 0) return length;
  throw new ExchangeError("bad_request", `Content-Length ${JSON.stringify(value)} is no number of bytes`);
}

/** True where a request asks for one protocol alone, and has no content. */
export function isPlainUpgrade(head: RequestHead): boolean {
  return head.upgrade !== undefined && !head.upgrade.includes(",") && upgradeContentLength(head) === 0;
}

/** The two parts of the body of a request that asks for an upgrade. */
export interface UpgradeParts {
  /** The request's own content. */
  readonly content: Body;
  /** What follows a 101. */
  readonly raw: Body;
}

/** @throws {ExchangeError} `bad_request` for a Content-Length that is no number */
export function upgradeParts(head: RequestHead, body: Body): UpgradeParts {
  const length = upgradeContentLength(head);
  if (length === 0 || body === null) return { content: null, raw: body };
  const { content, rest } = splitBody(body instanceof Uint8Array ? streamOf(body) : body, length);
  return { content, raw: rest };
}

/**
 * The content of a request whose upgrade, if it asks for one, is ignored (RFC 9110 §7.8 allows that): what the client
 * sends behind it will not be read.
 *
 * @throws {ExchangeError} `bad_request` for a Content-Length that is no number
 */
export function contentOf(head: RequestHead, body: Body): Body {
  if (head.upgrade === undefined) return body;
  const { content, raw } = upgradeParts(head, body);
  cancelBody(raw, new ExchangeError("bad_request", "The upgrade is not made"));
  return content;
}
