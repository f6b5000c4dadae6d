/** docs/api.md beside the admin API: its examples are asked in their order, and its tables are compared. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { problemKinds } from "../../src/http/problems.ts";
import { type AdminAnswer, type AdminStage, onAdminStage } from "../admin/stage.ts";
import { inlineCode, readPage, tableRows } from "./page.ts";

const page = readPage("docs/api.md");
const codesIn = (cell: string) => inlineCode({ prose: [cell] });

/** An example: what is asked, and what is answered. */
interface Example {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly status: number;
  readonly answerHeaders: Readonly<Record<string, string>>;
  /** Undefined where the page shows none. */
  readonly answer: unknown;
  readonly lineNumber: number;
}

const examples = page.fences.filter(({ language }) => language === "http").map(({ lines, lineNumber }): Example => {
  const parts = lines.join("\n").split(/\n\n/);
  const answerAt = parts.findIndex((part) => /^\d{3} /.test(part));
  const [request = "", ...body] = parts.slice(0, answerAt);
  const [answer = "", ...answerBody] = parts.slice(answerAt);
  const [method = "", path = ""] = request.split("\n")[0]!.split(" ");
  const json = (texts: string[]) => texts.length === 0 ? undefined : JSON.parse(texts.join("\n"));
  return {
    method,
    path,
    headers: fieldsOf(request),
    body: json(body),
    status: Number(answer.slice(0, 3)),
    answerHeaders: fieldsOf(answer),
    answer: json(answerBody),
    lineNumber,
  };
});

function fieldsOf(head: string): Record<string, string> {
  return Object.fromEntries(
    head.split("\n").slice(1).map((line) => [
      line.slice(0, line.indexOf(":")),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
}

const timePattern = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
/** The epoch of the page's store; each real one has its own. */
const shownEpoch = "f0e1d2c3b4a59687";

/** Fails where `value` is not what the page shows: `…` stands for any text, and a time for any time. */
function assertShown(value: unknown, shown: unknown, where: string): void {
  if (typeof shown === "string" && shown.includes("…")) {
    // What one record has and another has not.
    if (shown === "…") return;
    assert.ok(String(value).startsWith(shown.slice(0, shown.indexOf("…"))), `${where}: ${value}`);
  } else if (typeof shown === "string" && timePattern.test(shown)) {
    assert.ok(value === null || timePattern.test(String(value)), `${where}: ${value}`);
  } else if (Array.isArray(shown)) {
    assert.ok(Array.isArray(value) && value.length === shown.length, `${where}: ${JSON.stringify(value)}`);
    shown.forEach((item, index) => assertShown((value as unknown[])[index], item, `${where}.${index}`));
  } else if (typeof shown === "object" && shown !== null) {
    assert.deepEqual(Object.keys(value as object).sort(), Object.keys(shown).sort(), where);
    for (const [key, item] of Object.entries(shown)) {
      assertShown((value as Record<string, unknown>)[key], item, `${where}.${key}`);
    }
  } else assert.equal(value, shown, where);
}

function assertAnswer(answer: AdminAnswer, example: Example, epoch: string): void {
  const where = `line ${example.lineNumber}`;
  assert.equal(answer.status, example.status, `${where}: ${answer.text.slice(0, 500)}`);
  for (const [name, shown] of Object.entries(example.answerHeaders)) {
    const value = answer.headers.get(name)?.split(";")[0];
    assert.equal(value, shown.replace(shownEpoch, epoch).split(";")[0], `${where}: ${name}`);
  }
  if (example.answer !== undefined) assertShown(answer.json, example.answer, where);
}

type Paths = Record<string, Record<string, unknown>>;

async function pathsOf({ ask }: AdminStage): Promise<[method: string, path: string][]> {
  const { paths } = (await ask("/api/v1/openapi.json")).json as { paths: Paths };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path])
  );
}

describe("docs/api.md", () => {
  it("shows what the API answers, example by example", () =>
    onAdminStage(async ({ ask, store }) => {
      for (const example of examples) {
        const { method, path, body } = example;
        const headers = Object.fromEntries(
          Object.entries(example.headers).map(([name, value]) => [name, value.replace(shownEpoch, store.epoch)]),
        );
        assertAnswer(await ask(path, { method, body, headers }), example, store.epoch);
      }
    }));

  it("lists every path of the OpenAPI document, and has an example of each that it explains", () =>
    onAdminStage(async (stage) => {
      const rows = tableRows(page, "method and path");
      const listed = new Map(rows.flatMap(([paths = "", , where = ""]) => codesIn(paths).map((path) => [path, where])));
      const known = (await pathsOf(stage)).map((words) => words.join(" "));
      assert.deepEqual(known.filter((path) => !listed.has(path)), [], "the page does not list these");
      const below = [...listed].filter(([, where]) => where.startsWith("[below]")).map(([path]) => path);
      assert.deepEqual(below.filter((path) => !known.includes(path)), [], "the API does not have these");
      const shown = examples.map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
      const patternOf = (path: string) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/ ]+")}$`);
      assert.deepEqual(below.filter((path) => !shown.some((asked) => patternOf(path).test(asked))), []);
    }));

  it("lists the problems that the OpenAPI document has statuses for, with those of the table of all problems", () =>
    onAdminStage(async ({ ask }) => {
      const rows = tableRows(page, "code").map(([code = "", status]) => [codesIn(code)[0] as string, Number(status)]);
      const kinds: Readonly<Record<string, { status: number }>> = problemKinds;
      for (const [code, status] of rows) assert.equal(kinds[code as string]?.status, status, String(code));
      const { paths } = (await ask("/api/v1/openapi.json")).json as {
        paths: Record<string, Record<string, { responses: object }>>;
      };
      const documented = new Set(
        Object.values(paths).flatMap((methods) => Object.values(methods)).flatMap(({ responses }) =>
          Object.keys(responses).map(Number)
        ),
      );
      const listed = new Set(rows.map(([, status]) => status));
      assert.deepEqual([...documented].filter((status) => status >= 400 && !listed.has(status)), []);
      // These are for methods that no path documents.
      const others = [405, 501];
      assert.deepEqual(
        [...listed].filter((status) => !others.includes(status as number) && !documented.has(status as number)),
        [],
      );
    }));
});
