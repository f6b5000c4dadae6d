/**
 * Host and authority (RFC 3986 §3.2, RFC 9110 §7.2): syntax and comparison. Nothing is decoded, no name is looked up.
 */
import { Memo } from "../base/mod.ts";
import { byteTable, COLON, consistsOf, digitBytes, hexBytes } from "./bytes.ts";

/**
 * `unreserved` and `sub-delims` (RFC 3986 §2.2, §2.3). A registered name consists of these and `%` with two hex digits.
 */
const nameBytes = byteTable("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=");
const addressBytes = byteTable("0123456789abcdefABCDEF:.");

const PERCENT = 0x25;

/** A DNS name has at most 253 characters, a port five and its colon. */
const MAX_LENGTH = 253 + 6;

export interface Authority {
  /** As written; an IPv6 address keeps its brackets. */
  readonly host: string;
  /** Digits, or `""` where there are none. */
  readonly port: string;
}

/**
 * Splits `host [":" port]`. `null` for anything else: an empty host, userinfo, a port that is not digits or above
 * 65,535, a zone id, more than 259 characters.
 */
export function splitAuthority(text: string): Authority | null {
  if (text.length > MAX_LENGTH) return null;
  const end = text.startsWith("[") ? addressEnd(text) : nameEnd(text);
  if (end <= 0) return null;
  if (end === text.length) return { host: text, port: "" };
  if (text.charCodeAt(end) !== COLON) return null;
  const port = text.slice(end + 1);
  if (port !== "" && !(port.length <= 5 && consistsOf(digitBytes, port) && Number(port) <= 65_535)) return null;
  return { host: text.slice(0, end), port };
}

const areAuthorities = new Memo((text) => splitAuthority(text) !== null);

export function isAuthority(text: string): boolean {
  return areAuthorities.get(text);
}

/**
 * What is wrong with `text` as the setting of a Host (`preserve`, `rewrite` or a value), as the end of a sentence; null
 * where nothing is. A value has none of the delimiters that a name may have by its grammar, and never has.
 */
export function hostSettingFault(text: string): string | null {
  if (text === "preserve" || text === "rewrite") return null;
  const mode = text.toLowerCase();
  // A host of that name cannot be meant.
  if (mode === "preserve" || mode === "rewrite") return `is a mode, which is written ${mode}`;
  if (isAuthority(text) && !/[!$&'()*+,;=]/.test(text)) return null;
  return "is none of preserve, rewrite and a Host such as localhost:3000";
}

/** The offset behind `"[" address "]"`; -1 where the brackets hold no address. */
function addressEnd(text: string): number {
  const close = text.indexOf("]");
  return close > 2 && consistsOf(addressBytes, text.slice(1, close)) ? close + 1 : -1;
}

/** The offset of the first character that no registered name has; -1 for a `%` without two hex digits. */
function nameEnd(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === PERCENT) {
      if (!consistsOf(hexBytes, text.slice(i + 1, i + 3)) || i + 2 >= text.length) return -1;
      i += 2;
    } else if (code > 0xff || nameBytes[code] === 0) return i;
  }
  return text.length;
}

/** An absolute URL in parts, as written. */
export interface UrlParts {
  readonly scheme: "http" | "https";
  /** Not checked: it may hold userinfo, or be no authority at all. */
  readonly authority: string;
  /** Path, query and fragment; `""` where there are none. */
  readonly rest: string;
}

/** `null` where `url` does not begin with `http://` or `https://`, in any case, and an authority. */
export function splitUrl(url: string): UrlParts | null {
  const prefix = /^(https?):\/\/([^/?#]+)/i.exec(url);
  if (prefix === null) return null;
  return { scheme: prefix[1].length === 4 ? "http" : "https", authority: prefix[2], rest: url.slice(prefix[0].length) };
}

/** True where both name the same host and port for `scheme`, whatever the case, with or without its default port. */
export function sameAuthority(one: string, other: string, scheme: "http" | "https"): boolean {
  if (one === other) return true;
  const left = splitAuthority(one);
  const right = splitAuthority(other);
  if (left === null || right === null || left.host.toLowerCase() !== right.host.toLowerCase()) return false;
  const defaultPort = scheme === "http" ? 80 : 443;
  return (left.port === "" ? defaultPort : Number(left.port)) ===
    (right.port === "" ? defaultPort : Number(right.port));
}
