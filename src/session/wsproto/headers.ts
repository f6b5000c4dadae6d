/**
 * Header fields as the JSON frames carry them: an object of names and values. Repeated fields are joined with a comma, as
 * RFC 9110 §5.3 allows, and those of Cookie with a semicolon. Some fields of answers are joined with a newline: no comma
 * may join those of Set-Cookie, and clients do not find the second of two challenges that a comma joins.
 */
import type { Fields } from "../../http/mod.ts";
import { FeatureChallengeLines } from "./frames.ts";
import type { HeadText } from "./head_text.ts";

/** Names in lower case of fields that a newline may join. */
export type LineFields = ReadonlySet<string>;

/** For requests. Agents of others may write a newline into a head, where it begins another field. */
export const noLineFields: LineFields = new Set();
const lineFields: LineFields = new Set(["set-cookie", "www-authenticate", "proxy-authenticate"]);
const cookieLines: LineFields = new Set(["set-cookie"]);

/** For answers. @param features what the edge announced */
export function lineFieldsFor(features: readonly string[]): LineFields {
  return features.includes(FeatureChallengeLines) ? lineFields : cookieLines;
}

/** The fields in a frame. Those that a newline may join are split again; no value is checked. */
export function headersToFields(headers: Readonly<Record<string, string>>, text: HeadText): Fields {
  const fields: string[] = [];
  for (const key of Object.keys(headers)) {
    const name = text.read(key);
    const value = text.read(headers[key] as string);
    if (!value.includes("\n") || !lineFields.has(name.toLowerCase())) fields.push(name, value);
    else for (const line of value.split("\n")) fields.push(name, line);
  }
  return fields;
}

/** The object for a frame. Each name is spelled as it is the first time. */
export function fieldsToHeaders(fields: Fields, text: HeadText, lines: LineFields): Record<string, string> {
  // Without a prototype, so that a field called `__proto__` is a key like any other.
  const headers: Record<string, string> = Object.create(null);
  const spelling = new Map<string, string>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = text.write(fields[index + 1] as string);
    const lower = name.toLowerCase();
    const known = spelling.get(lower);
    if (known === undefined) {
      spelling.set(lower, name);
      headers[name] = value;
    } else headers[known] += separator(lower, lines) + value;
  }
  return headers;
}

function separator(lowerName: string, lines: LineFields): string {
  if (lines.has(lowerName)) return "\n";
  return lowerName === "cookie" ? "; " : ", ";
}
