/**
 * Requests under the upstream's own origin (RFC 6454 §4), for an upstream that is not to see its public one: as its Host
 * is another one, so are the URLs of its own that the visitor sends, and those that it answers.
 *
 *     visitor ── Origin: https://shop.example.com ──▶ agent ── Origin: http://127.0.0.1:3000 ──▶ upstream
 *        ◀── Location: https://shop.example.com/login ──  ◀── Location: http://127.0.0.1:3000/login ──
 *
 * A check of Origin against Host then has the result that it has without a tunnel. The origins of others stay as they
 * are, so that such a check still refuses them.
 */
import { sameAuthority, splitUrl } from "./authority.ts";
import { equalsLower } from "./fields.ts";
import { type Answer, type Fields, type Handler, type RequestHead, withFields } from "./message.ts";

export interface Origin {
  readonly scheme: "http" | "https";
  /** Host and port, as in the Host field. */
  readonly authority: string;
}

/**
 * `handler`, asked and answering under the origin `upstream`. Host itself is left to `handler`.
 *
 * In requests the public origin becomes that of the upstream in Origin, Referer (RFC 9110 §10.1.3) and Destination (RFC
 * 4918 §10.3). In answers the upstream's becomes the public one in Location, Content-Location and Refresh. The public
 * origin is the scheme and the Host of the same request; a request without Host has none, and nothing is changed.
 */
export function withUpstreamOrigin(handler: Handler, upstream: Origin): Handler {
  return (head, body, signal) => {
    if (head.authority === "") return handler(head, body, signal);
    return handler(requestUnder(upstream, head), body, signal).then((answer) => answerUnder(head, answer, upstream));
  };
}

function requestUnder(upstream: Origin, head: RequestHead): RequestHead {
  const fields = mapValues(head.fields, (name, value) => {
    if (equalsLower(name, "origin")) return moved(value, head, upstream, true);
    return equalsLower(name, "referer") || equalsLower(name, "destination") ? moved(value, head, upstream) : value;
  });
  return fields === head.fields ? head : withFields(head, fields);
}

function answerUnder(visited: Origin, answer: Answer, upstream: Origin): Answer {
  // An upstream that believes X-Forwarded-Proto names the public scheme before its own Host.
  const believed = { scheme: visited.scheme, authority: upstream.authority };
  const back = (url: string): string => {
    if (!url.startsWith("//")) return moved(moved(url, upstream, visited), believed, visited);
    const { scheme } = visited;
    return moved(`${scheme}:${url}`, believed, visited).slice(scheme.length + 1);
  };
  const fields = mapValues(answer.fields, (name, value) => {
    if (equalsLower(name, "location") || equalsLower(name, "content-location")) return back(value);
    return equalsLower(name, "refresh") ? refreshBy(value, back) : value;
  });
  return fields === answer.fields ? answer : { ...answer, fields };
}

/** A value of Refresh, such as `5; url="/next"`, with its URL changed by `change`. */
function refreshBy(value: string, change: (url: string) => string): string {
  const parts = /^([^;,]*[;,]\s*url\s*=\s*)(["']?)(.*)\2$/i.exec(value);
  if (parts === null) return value;
  const [, before, quote, url] = parts;
  return `${before}${quote}${change(url)}${quote}`;
}

/**
 * `url` under the origin `to`, where its own is `from` exactly: scheme, host and port. Everything else stays.
 *
 * @param isBare true: the whole text must be the origin
 */
function moved(url: string, from: Origin, to: Origin, isBare = false): string {
  const parts = splitUrl(url);
  if (parts === null || parts.scheme !== from.scheme || (isBare && parts.rest !== "")) return url;
  if (!sameAuthority(parts.authority, from.authority, from.scheme)) return url;
  return `${to.scheme}://${to.authority}${parts.rest}`;
}

/** The fields with other values; the same array where all of them stay. */
function mapValues(fields: Fields, map: (name: string, value: string) => string): Fields {
  let mapped: string[] | null = null;
  for (let index = 1; index < fields.length; index += 2) {
    const value = map(fields[index - 1], fields[index]);
    if (value !== fields[index]) (mapped ??= [...fields])[index] = value;
  }
  return mapped ?? fields;
}
