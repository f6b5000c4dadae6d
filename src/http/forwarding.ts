/**
 * What a proxy adds to an exchange and takes away from it (RFC 9110 §7.6, RFC 7239). The HTTP/1.1 parser has already
 * taken off the hop-by-hop fields.
 */
import { Memo } from "../base/mod.ts";
import { equalsLower, fieldValue, filterFields, withoutFields } from "./fields.ts";
import { isEventStream, isLiveFormat } from "./media_type.ts";
import { type Answer, type Fields, type Handler, type RequestHead, withFields } from "./message.ts";
import { errorFieldName } from "./problem_answer.ts";
import { nameAsRead, VisitorField, visitorFieldOf } from "./visitor_fields.ts";

/** What the upstreams of an edge are told about visitors. */
export class Forwarding {
  /** As servers read them; null where there are none. */
  readonly #addressNames: ReadonlySet<string> | null;

  /**
   * @param addressFields names of fields of the visitor's address beside the known ones (`clientAddressNames`). Default none.
   */
  constructor(addressFields: readonly string[] = []) {
    const names = addressFields.map((name) => nameAsRead(name.toLowerCase()));
    this.#addressNames = names.length === 0 ? null : new Set(names);
  }

  /**
   * The head for the upstream, with `fieldsFor`. Trailers are without the further fields of an address, whoever sends them.
   *
   * @param tunnel see `RequestHead`
   */
  headFor(head: RequestHead, tunnel: string | undefined): RequestHead {
    const forwarded = withFields(head, this.fieldsFor(head), tunnel);
    const { trailers } = head;
    if (this.#addressNames === null || trailers === undefined) return forwarded;
    const isNone = (name: string) => this.#kindOf(name) === VisitorField.NONE;
    return { ...forwarded, trailers: () => filterFields(trailers(), isNone) };
  }

  /**
   * The fields for the upstream: the client's in their order, without those that tell who the visitor is, then
   * `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host`, `Forwarded` and `X-Request-ID`. Fields of an address stay
   * where a trusted proxy sent the request.
   */
  fieldsFor(head: RequestHead): Fields {
    const fields: string[] = [];
    for (let index = 0; index < head.fields.length; index += 2) {
      const name = head.fields[index];
      const kind = this.#kindOf(name);
      if (kind === VisitorField.NONE || (kind === VisitorField.ADDRESS && head.isProxied === true)) {
        fields.push(name, head.fields[index + 1]);
      }
    }
    fields.push("X-Forwarded-For", head.client, "X-Forwarded-Proto", head.scheme);
    if (head.authority !== "") fields.push("X-Forwarded-Host", head.authority);
    fields.push("Forwarded", forwardedElement(head), "X-Request-ID", requestIdOf(head));
    return fields;
  }

  /** True where a field says that the request came through a proxy, which may send those of several clients. */
  isForwarded(fields: Fields): boolean {
    for (let index = 0; index < fields.length; index += 2) {
      const kind = this.#kindOf(fields[index]);
      if (kind === VisitorField.FORWARDING || kind === VisitorField.ADDRESS) return true;
      if (equalsLower(fields[index], "via")) return true;
    }
    return false;
  }

  #kindOf(name: string): VisitorField {
    const kind = visitorFieldOf(name);
    if (this.#addressNames === null || kind !== VisitorField.NONE) return kind;
    const lower = name.toLowerCase();
    const read = nameAsRead(lower);
    if (!this.#addressNames.has(read)) return VisitorField.NONE;
    return read === lower ? VisitorField.ADDRESS : VisitorField.FORWARDING;
  }
}

/** By which logs, events and the upstream call a request. */
export function requestIdOf({ requestId, id }: Pick<RequestHead, "requestId" | "id">): string {
  return requestId ?? id;
}

/** `upstream`, which is told nothing about visitors but the request's id: for one that refuses such fields. */
export function withoutForwarding(upstream: Handler): Handler {
  return (head, body, signal) => upstream(withFields(head, withoutVisitor(head.fields)), body, signal);
}

function withoutVisitor(fields: Fields): Fields {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const kind = visitorFieldOf(fields[index]);
    if (kind === VisitorField.FORWARDING || kind === VisitorField.ADDRESS) continue;
    kept.push(fields[index], fields[index + 1]);
  }
  return kept;
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
 * An upstream's answer for the public client. `X-Runnel-Error` is removed: only the edge's own answers have it. Answers in
 * live formats get a field that asks nginx not to buffer them, and events one that asks proxies not to transform them.
 */
export function publicAnswer(answer: Answer): Answer {
  const { contentType, hasErrorField } = inspect(answer.fields);
  const isLive = isLiveFormat(contentType);
  if (!isLive && !hasErrorField) return answer;
  const fields = hasErrorField ? withoutFields(answer.fields, errorFieldNames) : answer.fields;
  return { ...answer, fields: isLive ? withStreamingFields(fields, isEventStream(contentType)) : fields };
}

function withStreamingFields(fields: Fields, isEvents: boolean): Fields {
  const extended = [...fields];
  if (fieldValue(fields, "x-accel-buffering") === undefined) extended.push("X-Accel-Buffering", "no");
  if (isEvents && !/\bno-transform\b/i.test(fieldValue(fields, "cache-control") ?? "")) {
    extended.push("Cache-Control", "no-transform");
  }
  return extended;
}

/** Both in one pass, since they are asked of every answer. */
function inspect(fields: Fields): { contentType: string | undefined; hasErrorField: boolean } {
  let contentType: string | undefined;
  let hasErrorField = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index];
    if (contentType === undefined && equalsLower(name, "content-type")) contentType = fields[index + 1];
    else if (equalsLower(name, lowerErrorName)) hasErrorField = true;
  }
  return { contentType, hasErrorField };
}
