/**
 * Files of configuration in YAML, of which JSON is a part: checked by a schema, with the place of each mistake, and with
 * `${VARIABLE}` in values.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  visit,
  type YAMLMap,
} from "yaml";
import type { z } from "zod";
import { nameErrorClass } from "../base/mod.ts";
import { didYouMean } from "./nearest.ts";
import { UsageError } from "./usage_error.ts";

/** What stands in a file is wrong. Code `usage`. The reason begins with `FILE:LINE:COLUMN: `, and shows no value. */
export class ConfigFileError extends UsageError {
  static {
    nameErrorClass(this, "ConfigFileError");
  }

  /** Both begin at 1. */
  readonly line: number;
  readonly column: number;

  constructor(place: { readonly file: string; readonly line: number; readonly column: number }, fault: string) {
    super(`${place.file}:${place.line}:${place.column}: ${fault}`, "Correct the file there");
    this.line = place.line;
    this.column = place.column;
  }
}

export interface YamlFileOptions {
  /** Names the file in messages. */
  readonly file: string;
  /**
   * The value of `${NAME}`; undefined where it is not set, which is an error. `$${` stands for `${`. Default: nothing is
   * replaced.
   */
  readonly variables?: (name: string) => string | undefined;
}

export interface YamlFile<T> {
  readonly value: T;
  /** The error for the value at `path`, or for the nearest part that is there. */
  errorAt(path: Path, fault: string): ConfigFileError;
}

type Path = readonly PropertyKey[];

/** Longer files are refused. */
const MAX_FILE_CHARACTERS = 1024 * 1024;
/** How often anchors may be repeated: a file of a few lines can stand for gigabytes otherwise. */
const MAX_ALIASES = 100;
const VARIABLE = /\$(\$?)\{([^{}]*)\}/g;

/** The value of `text`. @throws {ConfigFileError} */
export function readYaml<T>(text: string, schema: z.ZodType<T>, options: YamlFileOptions): T {
  return readYamlFile(text, schema, options).value;
}

/** The same, with the places of what is in the file. @throws {ConfigFileError} */
export function readYamlFile<T>(text: string, schema: z.ZodType<T>, options: YamlFileOptions): YamlFile<T> {
  const source = new YamlSource(text, options);
  return { value: source.check(schema), errorAt: (path, fault) => source.errorAt(path, fault) };
}

class YamlSource {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  /** Values without quotes in which a variable stood: they may be numbers or booleans. */
  readonly #replaced = new Set<Scalar>();

  constructor(text: string, { file, variables }: YamlFileOptions) {
    this.#file = file;
    if (text.length > MAX_FILE_CHARACTERS) {
      throw this.#error(0, `the file has more than ${MAX_FILE_CHARACTERS} characters`);
    }
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, merge: true });
    const [problem] = [...this.#document.errors, ...this.#document.warnings];
    // Only the code of the error: its message may quote the line, which may hold a secret.
    if (problem !== undefined) throw this.#error(problem.pos[0], `no valid YAML (${problem.code})`);
    this.#checkAliases();
    this.#checkKeys();
    this.#checkNumbers();
    if (variables !== undefined) this.#replaceVariables(variables);
  }

  check<T>(schema: z.ZodType<T>): T {
    for (;;) {
      const parsed = schema.safeParse(this.#plain());
      if (parsed.success) return parsed.data;
      const issues = parsed.error.issues.map(innermost);
      // Each round makes one text a number or a boolean, which it then stays.
      if (issues.some((issue) => this.#convert(issue))) continue;
      // A mistyped key is often the one that is missing.
      throw this.#issueError(issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!, schema);
    }
  }

  errorAt(path: Path, fault: string): ConfigFileError {
    return this.#error(this.#find(path).node?.range?.[0] ?? 0, fault);
  }

  #plain(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      // What the package throws of a document that it could parse is of no class of its own.
      const isRepeated = error instanceof ReferenceError;
      throw this.#error(0, isRepeated ? `anchors are repeated more than ${MAX_ALIASES} times` : "no valid YAML");
    }
  }

  /** Refuses what would fail without a place only when values are made of it. */
  #checkAliases(): void {
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return;
        throw this.#error(alias.range?.[0] ?? 0, `there is no anchor ${JSON.stringify(alias.source)} before`);
      },
      Pair: (_, { key, value }) => {
        if (!isMergeKey(key)) return;
        const merged = this.#resolved(value as Node | null);
        const sources = isSeq(merged) ? merged.items : [merged];
        if (sources.every((source) => isMap(this.#resolved(source as Node | null)))) return;
        throw this.#error((value as Node | null)?.range?.[0] ?? (key as Node).range?.[0] ?? 0, "<< takes maps alone");
      },
    });
  }

  /** Refuses keys that are no texts, such as lists, and those that are the same text. */
  #checkKeys(): void {
    visit(this.#document, {
      Map: (_, { items }) => {
        const known = new Set<string>();
        for (const { key } of items) {
          const node = this.#resolved(key as Node | null);
          const at = (key as Node | null)?.range?.[0] ?? 0;
          if (!isScalar(node)) throw this.#error(at, "a key is no text");
          const text = String(node.value);
          // The parser compares without a look at types: 8 and "8" are two keys for it.
          if (known.has(text) && !isMergeKey(key)) {
            throw this.#error(at, `the key ${JSON.stringify(text)} stands twice`);
          }
          known.add(text);
        }
      },
    });
  }

  /** Where a text is wanted, 1.10 would become 1.1, and 007 another name. */
  #checkNumbers(): void {
    visit(this.#document, {
      Scalar: (_, { value, source, range }) => {
        if (typeof value !== "number" || source === undefined || String(value) === source) return;
        throw this.#error(range?.[0] ?? 0, "a number that would become another text: put it in quotes");
      },
    });
  }

  #replaceVariables(variables: (name: string) => string | undefined): void {
    visit(this.#document, {
      Scalar: (role, node, path) => {
        if (role === "key" && isPair(path.at(-1))) return;
        if (typeof node.value !== "string" || !node.value.includes("${")) return;
        node.value = node.value.replace(VARIABLE, (whole, escape: string, name: string) => {
          if (escape !== "") return whole.slice(1);
          const at = node.range?.[0] ?? 0;
          if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
            throw this.#error(
              at,
              `${JSON.stringify(whole)} names no variable; write $\${ for the characters themselves`,
            );
          }
          const value = variables(name);
          if (value === undefined) throw this.#error(at, `the variable ${name} is not set`);
          return value;
        });
        if (node.type === Scalar.PLAIN) this.#replaced.add(node);
      },
    });
  }

  /** Makes the text that a variable gave what the schema wants there. Returns false where it cannot. */
  #convert({ code, path, ...issue }: Issue): boolean {
    if (code !== "invalid_type") return false;
    const { node, isExact } = this.#find(path);
    if (!isExact || !isScalar(node) || !this.#replaced.delete(node)) return false;
    const { expected } = issue as { expected?: string };
    const text = String(node.value);
    if ((expected === "number" || expected === "int") && /^-?\d{1,15}(\.\d{1,15})?$/.test(text)) {
      node.value = Number(text);
    } else if (expected === "boolean" && /^(true|false)$/.test(text)) node.value = text === "true";
    else return false;
    return true;
  }

  #issueError(issue: Issue, schema: z.ZodType): ConfigFileError {
    const { path, message } = issue;
    const { node, isExact } = this.#find(path);
    if (issue.code === "unrecognized_keys") {
      const [key = ""] = issue.keys;
      const at = keyNode(node, key)?.range?.[0] ?? node?.range?.[0] ?? 0;
      const where = path.length === 0 ? "" : ` in ${pathText(path)}`;
      return this.#error(at, `unknown key ${JSON.stringify(key)}${where}${didYouMean(key, keysAt(schema, path))}`);
    }
    const at = node?.range?.[0] ?? 0;
    if (!isExact) return this.#error(at, `the key ${pathText(path)} is missing`);
    if (issue.code === "invalid_key") {
      const key = keyNode(this.#find(path.slice(0, -1)).node, String(path.at(-1)));
      return this.#error(key?.range?.[0] ?? at, plainly(message));
    }
    if (path.length === 0) return this.#error(at, plainly(message));
    return this.#error(at, `${pathText(path)}: ${plainly(message)}`);
  }

  /** The node at `path`, or the last one on the way to it. */
  #find(path: Path): { node: Node | null; isExact: boolean } {
    let node: Node | null = this.#resolved(this.#document.contents);
    for (const step of path) {
      const next = this.#step(node, String(step));
      if (next === undefined) return { node, isExact: false };
      if (next === null) return { node, isExact: true };
      node = next;
    }
    return { node, isExact: true };
  }

  /** Undefined where there is no such key or item. */
  #step(node: Node | null, step: string): Node | null | undefined {
    if (isSeq(node)) return this.#resolved(node.items[Number(step)] as Node | undefined);
    if (!isMap(node)) return undefined;
    const pair = pairOf(node, step);
    if (pair !== undefined) return this.#resolved(pair.value as Node | null);
    // A key that was merged from elsewhere.
    for (const { key, value } of node.items) {
      if (!isMergeKey(key)) continue;
      const merged = this.#resolved(value as Node | null);
      for (const item of isSeq(merged) ? merged.items : [merged]) {
        const found = this.#step(this.#resolved(item as Node | null) ?? null, step);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #resolved<N extends Node | null | undefined>(node: N): Node | N {
    return isAlias(node) ? node.resolve(this.#document) as Node ?? node : node;
  }

  #error(offset: number, fault: string): ConfigFileError {
    const { line, col } = this.#lines.linePos(offset);
    return new ConfigFileError({ file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) }, fault);
  }
}

type Issue = z.core.$ZodIssue;

/** Of a union the issue of the member that fits best: the one that fails deepest. */
function innermost(issue: Issue): Issue {
  if (issue.code === "invalid_key" || issue.code === "invalid_element") {
    const [inner] = issue.issues;
    return inner === undefined ? issue : { ...issue, message: inner.message };
  }
  if (issue.code !== "invalid_union") return issue;
  let best: Issue | null = null;
  for (const issues of issue.errors) {
    const first = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
    if (first === undefined) continue;
    const inner = innermost(first);
    if (best === null || inner.path.length > best.path.length) best = inner;
  }
  return best === null ? issue : { ...best, path: [...issue.path, ...best.path] };
}

/** Zod's own sentences without their beginning, which says nothing. */
function plainly(message: string): string {
  return message.replace(/^Invalid input: /, "");
}

/** `tunnels.shop.hostnames[0]` */
function pathText(path: Path): string {
  return path.map((step, index) => typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`)
    .join("");
}

/** Of `<<: *anchor`, which puts the keys of other maps into this one. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && (key.value === "<<" || typeof key.value === "symbol") && key.type === Scalar.PLAIN;
}

function pairOf(map: YAMLMap, key: string): { key: unknown; value: unknown } | undefined {
  return map.items.find(({ key: item }) => isScalar(item) && String(item.value) === key);
}

function keyNode(node: Node | null, key: string): Node | undefined {
  return isMap(node) ? pairOf(node, key)?.key as Node | undefined : undefined;
}

/** The keys that an object at `path` may have. */
function keysAt(schema: z.ZodType, path: Path): string[] {
  let members = [schema as z.core.$ZodType];
  for (const step of path) members = members.flatMap(objectsIn).flatMap((member) => childOf(member, step));
  return [
    ...new Set(
      members.flatMap(objectsIn).flatMap((member) => {
        const { def } = (member as z.core.$ZodTypes)._zod;
        return def.type === "object" ? Object.keys(def.shape) : [];
      }),
    ),
  ];
}

/** The schemas that `schema` is made of, without what wraps them. */
function objectsIn(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "union") return def.options.flatMap(objectsIn);
  if (def.type === "pipe") return objectsIn(def.in);
  if (def.type === "lazy") return objectsIn(def.getter());
  if ("innerType" in def) return objectsIn(def.innerType);
  return [schema];
}

function childOf(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "record") return [def.valueType];
  if (def.type === "array") return [def.element];
  const child = def.type === "object" ? def.shape[step as string] : undefined;
  return child === undefined ? [] : [child];
}
