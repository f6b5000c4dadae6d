/** A settings file: YAML whose keys are those under which options are declared (`connectTimeout: 5s`). */
import { readFile } from "node:fs/promises";
import { Document, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";
import { isSystemError } from "../base/mod.ts";
import { nearest } from "./nearest.ts";
import type { OptionSpecs } from "./option.ts";
import { replacePrivateFile } from "./private_file.ts";
import type { GivenSettings } from "./resolve.ts";
import { UsageError } from "./usage_error.ts";

/** The largest file that is read, in characters. */
const maxLength = 1024 * 1024;

/**
 * @param specs the options that the file may set; their keys are its keys
 * @returns null where there is no file
 * @throws {UsageError} with line and column, and the nearest key for an unknown one; never with a value, which may be
 *   a token
 */
export async function readSettings(path: string, specs: OptionSpecs): Promise<GivenSettings | null> {
  const text = await readText(path);
  if (text === null) return null;
  const lines = new LineCounter();
  const map = parseMap(path, text, lines);
  const values = new Map<string, readonly string[]>();
  for (const pair of map?.items ?? []) {
    const { key, value } = pair as Pair<Node, Node | null>;
    const name = isScalar(key) ? String(key.value) : "";
    const at = place(path, lines, key);
    if (!Object.hasOwn(specs, name)) throw unknownKey(at, name, Object.keys(specs));
    values.set(name, textsOf(value, specs[name]?.kind === "list", `${at}: ${name}`));
  }
  return { path, values };
}

/** Sets keys in the file, which is made where it is missing; undefined removes a key. The rest stays as it is. */
export async function updateSettings(path: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const text = await readText(path) ?? "";
  const document = parseMap(path, text, new LineCounter()) === null ? new Document({}) : parseDocument(text);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) document.delete(key);
    else document.set(key, value);
  }
  await replacePrivateFile(path, document.toString());
}

async function readText(path: string): Promise<string | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return null;
    throw new UsageError(`The settings ${path} cannot be read: ${(error as Error).message}`);
  }
  if (text.length > maxLength) throw new UsageError(`The settings ${path} have more than ${maxLength} characters`);
  return text;
}

/** Null for a file of comments or of nothing. */
function parseMap(path: string, text: string, lines: LineCounter): YAMLMap | null {
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // Only the code: the message may quote the line.
    throw new UsageError(`${path}:${line}:${col}: no valid YAML (${error.code})`);
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return null;
  if (!isMap(contents)) {
    throw new UsageError(`${path}:1:1: expected keys with values, such as edge: https://example.com`);
  }
  return contents;
}

function textsOf(value: Node | null, isList: boolean, what: string): readonly string[] {
  if (isList && isSeq(value)) return value.items.map((item) => textOf(item as Node, what));
  return [textOf(value, what)];
}

function textOf(value: Node | null, what: string): string {
  const scalar = isScalar(value) ? value.value : null;
  if (typeof scalar === "string") return scalar;
  if (typeof scalar === "number" || typeof scalar === "boolean") return String(scalar);
  throw new UsageError(`${what} has no value that could stand on a command line`);
}

function unknownKey(at: string, name: string, keys: readonly string[]): UsageError {
  const near = nearest(name, keys);
  return new UsageError(`${at}: unknown key ${JSON.stringify(name)}${near === null ? "" : `; did you mean ${near}?`}`);
}

function place(path: string, lines: LineCounter, node: Node): string {
  const { line, col } = lines.linePos(node.range?.[0] ?? 0);
  return `${path}:${line}:${col}`;
}
