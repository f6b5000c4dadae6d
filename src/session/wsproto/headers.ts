/**
 * Header fields as the JSON frames carry them: an object of names and values. Repeated fields are joined with a comma, as
 * RFC 9110 §5.3 allows; those of Cookie with a semicolon; those of Set-Cookie, which no comma may join, with a newline.
 */
import { Buffer } from "node:buffer";
import type { Fields } from "../../http/mod.ts";

/** The fields in a frame. Values of Set-Cookie are split at newlines again; no value is checked. */
export function headersToFields(headers: Readonly<Record<string, string>>): Fields {
  const fields: string[] = [];
  for (const name of Object.keys(headers)) {
    const value = toBytes(headers[name] as string);
    if (name.toLowerCase() !== "set-cookie") fields.push(toBytes(name), value);
    else for (const cookie of value.split("\n")) fields.push(name, cookie);
  }
  return fields;
}

/** The object for a frame. Each name is spelled as it is the first time. */
export function fieldsToHeaders(fields: Fields): Record<string, string> {
  // Without a prototype, so that a field called `__proto__` is a key like any other.
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

/** `text` as a string of bytes. One with a code point above 0xFF cannot be bytes: its UTF-8 is taken. */
export function toBytes(text: string): string {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0xff) return Buffer.from(text, "utf8").toString("latin1");
  }
  return text;
}
