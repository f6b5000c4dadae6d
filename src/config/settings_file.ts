/** The settings file: YAML whose keys are those under which the options are declared (`connectTimeout: 5s`). */
import { Document, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";
import { didYouMean } from "./nearest.ts";
import type { OptionSpecs } from "./option.ts";
import { readIfExists, replacePrivateFile } from "./private_file.ts";
import type { GivenSettings } from "./resolve.ts";
import { UsageError } from "./usage_error.ts";

/** Longer files are refused. */
const MAX_FILE_CHARACTERS = 1024 * 1024;

/**
 * The texts of the settings file.
 *
 * @param specs the options that the file may set, under its keys
 * @returns null where there is no file
 * @throws {UsageError} with line and column, and the nearest key for an unknown one. It never shows a value, which may
 *   be a token.
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

/**
 * Sets keys in the settings file, and removes those whose value is undefined. Everything else in it stays as it is. The
 * file is made where it is missing.
 *
 * @throws {UsageError} where the file cannot be read or is no valid YAML map; what `node:fs` throws where it cannot be
 *   written
 */
export async function updateSettings(path: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const text = await readText(path) ?? "";
  const document = parseMap(path, text, new LineCounter()) === null ? new Document({}) : parseDocument(text);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) document.delete(key);
    else document.set(key, value);
  }
  await replacePrivateFile(path, document.toString());
}

/** Null where there is no file. */
async function readText(path: string): Promise<string | null> {
  const text = await readIfExists(path).catch((error: Error) => {
    const remedy = "Make the file readable, or let XDG_CONFIG_HOME name another folder";
    throw new UsageError(`The settings ${path} cannot be read: ${error.message}`, remedy);
  });
  if (text !== null && text.length > MAX_FILE_CHARACTERS) {
    throw new UsageError(`The settings ${path} have more than ${MAX_FILE_CHARACTERS} characters`);
  }
  return text;
}

/** Null where the file is empty or has only comments. */
function parseMap(path: string, text: string, lines: LineCounter): YAMLMap | null {
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // Only the code of the error: its message may quote the line.
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
  throw new UsageError(`${what} has no value that is a text, a number or a boolean`);
}

function unknownKey(at: string, name: string, keys: readonly string[]): UsageError {
  return new UsageError(`${at}: unknown key ${JSON.stringify(name)}${didYouMean(name, keys)}`);
}

function place(path: string, lines: LineCounter, node: Node): string {
  const { line, col } = lines.linePos(node.range?.[0] ?? 0);
  return `${path}:${line}:${col}`;
}
