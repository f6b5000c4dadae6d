/**
 * What a forwarding hop adds and takes away (RFC 9110 §7.6, RFC 7239). The connection-level fields were already taken
 * off by the HTTP/1.1 reader; here is what concerns the exchange as a whole.
 */
import { equalsLower, fieldValue } from "./fields.ts";
import type { Answer, Fields, RequestHead } from "./message.ts";
import { Memo } from "../base/mod.ts";
import { isEventStream } from "./media_type.ts";
import { errorFieldName } from "./problem_answer.ts";

const lowerErrorName = errorFieldName.toLowerCase();

const letterF = 0x66;
const letterX = 0x78;

/** Names that a client may not send through an untrusted hop: they tell the upstream who is asking. */
function isForwardingField(name: string): boolean {
  // Hardly any field of a client begins so, and this is asked of each.
  const first = name.charCodeAt(0) | 0x20;
  if (name.length < 9 || (first !== letterF && first !== letterX)) return false;
  const lower = name.toLowerCase();
  return lower.startsWith("x-forwarded-") || lower === "forwarded" || lower === "x-real-ip";
}

/**
 * The fields that the upstream sees: the client's own in their order, then ours about the client.
 *
 * @param trusted true where the hop before us is a proxy of the owner's: its own forwarding fields then stay, and the
 *   client's address is appended to `X-Forwarded-For` (RFC 7239 §4: one element a hop).
 */
export function forwardedFields(head: RequestHead, trusted = false): Fields {
  const fields: string[] = [];
  let forwardedFor = head.client;
  let forwarded = forwardedElement(head);
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = head.fields[index] as string;
    const value = head.fields[index + 1] as string;
    if (!isForwardingField(name)) fields.push(name, value);
    else if (trusted) {
      const lower = name.toLowerCase();
      if (lower === "x-forwarded-for") forwardedFor = `${value}, ${forwardedFor}`;
      else if (lower === "forwarded") forwarded = `${value}, ${forwarded}`;
      else fields.push(name, value);
    }
  }
  fields.push("X-Forwarded-For", forwardedFor);
  addMissing(fields, "X-Forwarded-Proto", head.scheme, trusted);
  addMissing(fields, "X-Forwarded-Host", head.authority, trusted);
  fields.push("Forwarded", forwarded);
  return fields;
}

function addMissing(fields: string[], name: string, value: string, trusted: boolean): void {
  if (value === "" || (trusted && fieldValue(fields, name.toLowerCase()) !== undefined)) return;
  fields.push(name, value);
}

/** The last element that was made for an authority: a client comes with more than one request. */
interface LastElement {
  readonly host: string;
  client: string;
  scheme: string;
  element: string;
}

const lastElements = new Memo<LastElement>((authority) => {
  return { host: authority === "" ? "" : `;host=${quoted(authority)}`, client: "", scheme: "", element: "" };
});

/** One element of `Forwarded` (RFC 7239 §4): an IPv6 address is bracketed and quoted, a port makes a host quoted. */
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

/**
 * The upstream's answer as the public client gets it: bytes are never transformed, `X-Runnel-Error` is ours alone, and
 * proxies in front are asked not to hold or rewrite events.
 */
export function publicAnswer(answer: Answer): Answer {
  const { stream, spoofed } = signsOf(answer.fields);
  if (!stream && !spoofed) return answer;
  const fields = spoofed ? withoutOurError(answer.fields) : [...answer.fields];
  if (stream) {
    if (fieldValue(fields, "x-accel-buffering") === undefined) fields.push("X-Accel-Buffering", "no");
    if (!/\bno-transform\b/i.test(fieldValue(fields, "cache-control") ?? "")) {
      fields.push("Cache-Control", "no-transform");
    }
  }
  return { ...answer, fields };
}

/** Whether events come, and whether a field says that the edge itself answered. */
function signsOf(fields: Fields): { stream: boolean; spoofed: boolean } {
  let contentType: string | undefined;
  let spoofed = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (contentType === undefined && equalsLower(name, "content-type")) contentType = fields[index + 1];
    else if (equalsLower(name, lowerErrorName)) spoofed = true;
  }
  return { stream: isEventStream(contentType), spoofed };
}

function withoutOurError(fields: Fields): string[] {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (equalsLower(fields[index] as string, lowerErrorName)) continue;
    kept.push(fields[index] as string, fields[index + 1] as string);
  }
  return kept;
}
