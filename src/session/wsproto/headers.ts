/**
 * Header fields as the JSON frames carry them: an object of name → string. A repeated field is joined (`, `; Cookie
 * with `; `; Set-Cookie, which cannot be joined by a comma, with a newline: RFC 9110 §5.3) and split again here, before
 * anyone checks a value.
 */
import { Buffer } from "node:buffer";
import type { Fields } from "../../http/mod.ts";

export function headersToFields(headers: Readonly<Record<string, string>>): Fields {
  const fields: string[] = [];
  for (const name of Object.keys(headers)) {
    const value = toBytes(headers[name] as string);
    if (name.toLowerCase() !== "set-cookie") fields.push(toBytes(name), value);
    else for (const cookie of value.split("\n")) fields.push(name, cookie);
  }
  return fields;
}

export function fieldsToHeaders(fields: Fields): Record<string, string> {
  // Without a prototype: a field called `__proto__` is a name like any other.
  const headers: Record<string, string> = Object.create(null);
  const spelling = new Map<string, string>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    const lower = name.toLowerCase();
    const known = spelling.get(lower);
    if (known === undefined) {
      spelling.set(lower, name);
      headers[name] = value;
    } else headers[known] += separator(lower) + value;
  }
  return headers;
}

function separator(lowerName: string): string {
  if (lowerName === "set-cookie") return "\n";
  return lowerName === "cookie" ? "; " : ", ";
}

/** A string of bytes (Latin-1). One with a code point above 0xFF was meant as text, and becomes its UTF-8 bytes. */
export function toBytes(text: string): string {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0xff) return Buffer.from(text, "utf8").toString("latin1");
  }
  return text;
}
