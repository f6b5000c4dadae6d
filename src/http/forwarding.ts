/**
 * What a proxy adds to an exchange and takes away from it (RFC 9110 §7.6, RFC 7239). The HTTP/1.1 parser has already
 * taken off the hop-by-hop fields.
 */
import { Memo } from "../base/mod.ts";
import { equalsLower, fieldValue, withoutFields } from "./fields.ts";
import { isEventStream } from "./media_type.ts";
import type { Answer, Fields, RequestHead } from "./message.ts";
import { errorFieldName } from "./problem_answer.ts";

const LETTER_F = 0x66;
const LETTER_X = 0x78;

/** Fields that tell an upstream where a request comes from. A client's own ones are not trusted. */
function isForwardingField(name: string): boolean {
  // Checked first, because hardly any other field begins with these letters.
  const first = name.charCodeAt(0) | 0x20;
  if (name.length < 9 || (first !== LETTER_F && first !== LETTER_X)) return false;
  const lower = name.toLowerCase();
  return lower.startsWith("x-forwarded-") || lower === "forwarded" || lower === "x-real-ip";
}

/** True where a field says that the request came through a proxy, which may send those of several clients. */
export function isForwarded(fields: Fields): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    if (isForwardingField(fields[index]) || equalsLower(fields[index], "via")) return true;
  }
  return false;
}

/**
 * The fields for the upstream: the client's in their order, without its forwarding fields, then `X-Forwarded-For`,
 * `X-Forwarded-Proto`, `X-Forwarded-Host` and `Forwarded` about the client.
 */
export function forwardedFields(head: RequestHead): Fields {
  const fields: string[] = [];
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = head.fields[index];
    if (!isForwardingField(name)) fields.push(name, head.fields[index + 1]);
  }
  fields.push("X-Forwarded-For", head.client, "X-Forwarded-Proto", head.scheme);
  if (head.authority !== "") fields.push("X-Forwarded-Host", head.authority);
  fields.push("Forwarded", forwardedElement(head));
  return fields;
}

/** The last element that was made for an authority: most clients send several requests. */
interface LastElement {
  readonly host: string;
  client: string;
  scheme: string;
  element: string;
}

const lastElements = new Memo<LastElement>((authority) => {
  return { host: authority === "" ? "" : `;host=${quoted(authority)}`, client: "", scheme: "", element: "" };
});

/** One element of `Forwarded` (RFC 7239 §4). IPv6 addresses are bracketed and quoted, hosts with a port are quoted. */
function forwardedElement({ client, authority, scheme }: RequestHead): string {
  const last = lastElements.get(authority);
  if (last.client === client && last.scheme === scheme) return last.element;
  const node = client.includes(":") ? `"[${client}]"` : client;
  last.client = client;
  last.scheme = scheme;
  return last.element = `for=${node === "" ? "unknown" : node}${last.host};proto=${scheme}`;
}

function quoted(value: string): string {
  return /^[\w.-]+$/.test(value) ? value : `"${value.replaceAll(/["\\]/g, "\\$&")}"`;
}

const lowerErrorName = errorFieldName.toLowerCase();
const errorFieldNames: ReadonlySet<string> = new Set([lowerErrorName]);

/**
 * An upstream's answer for the public client. `X-Runnel-Error` is removed: only the edge's own answers have it. Events
 * get fields that ask other proxies not to buffer or transform them.
 */
export function publicAnswer(answer: Answer): Answer {
  const { isEvents, hasErrorField } = inspect(answer.fields);
  if (!isEvents && !hasErrorField) return answer;
  const fields = hasErrorField ? withoutFields(answer.fields, errorFieldNames) : answer.fields;
  return { ...answer, fields: isEvents ? withStreamingFields(fields) : fields };
}

function withStreamingFields(fields: Fields): Fields {
  const extended = [...fields];
  if (fieldValue(fields, "x-accel-buffering") === undefined) extended.push("X-Accel-Buffering", "no");
  if (!/\bno-transform\b/i.test(fieldValue(fields, "cache-control") ?? "")) {
    extended.push("Cache-Control", "no-transform");
  }
  return extended;
}

/** Both questions in one pass, since they are asked of every answer. */
function inspect(fields: Fields): { isEvents: boolean; hasErrorField: boolean } {
  let contentType: string | undefined;
  let hasErrorField = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index];
    if (contentType === undefined && equalsLower(name, "content-type")) contentType = fields[index + 1];
    else if (equalsLower(name, lowerErrorName)) hasErrorField = true;
  }
  return { isEvents: isEventStream(contentType), hasErrorField };
}
