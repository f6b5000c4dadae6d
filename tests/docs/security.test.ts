/** docs/security.md: each test that its table names is there, under that name. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readPage, root, tableRows } from "./page.ts";

const rows = tableRows(readPage("docs/security.md"), "fault").map(([fault = "", , file = "", name = ""]) => ({
  fault,
  path: /^`(tests\/[\w/.]+\.test\.ts)`$/.exec(file)?.[1] ?? null,
  name,
}));

/** What every claim of security must have: the beginnings of their faults. */
const required = [
  ...["token guessing", "refused tokens behind one address", "an expired token", "a revoked token", "a second agent"],
  ...["a name that is taken", "a target that the node may not use", "an agent asked for another target"],
  ...["spoofed `X-Forwarded-*`", "request smuggling", "a Host that is missing", "CR, LF or NUL", "CONNECT and TRACE"],
  ...["slow headers", "a slow body", "a slow reader", "an oversized frame", "out of descriptors"],
  ...["flood of opens and resets by an agent", "flood of opens and aborts by visitors", "push flood, slow subscriber"],
];

/** The names of a file's tests, as its text has them: of a template, the parts around its values. */
function namesIn(text: string): string[][] {
  const calls = text.matchAll(/\b(?:it|test)\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g);
  return Array.from(calls, ([, plain, template = ""]) => plain === undefined ? template.split(/\$\{[^}]*\}/) : [plain])
    .map((parts) => parts.map((part) => part.replaceAll(/\\(.)/g, "$1")));
}

/** True where a test of `text` has that name. The values of a template must stand in the text, too, or be numbers. */
function hasTest(text: string, name: string): boolean {
  return namesIn(text).some((parts) => {
    if (parts.length === 1) return parts[0] === name;
    const literal = parts.join("");
    const pattern = parts.map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("(.+)");
    const [, ...values] = new RegExp(`^${pattern}$`).exec(name) ?? [];
    return literal.length >= 5 && values.length === parts.length - 1 &&
      values.every((value) => /^\d+$/.test(value) || text.replaceAll('\\"', '"').includes(value));
  });
}

describe("docs/security.md", () => {
  it("names tests that are there, one a row", () => {
    assert.ok(rows.length >= 60, `${rows.length} rows`);
    const wrong = rows.filter(({ path, name }) => {
      if (path === null || !existsSync(join(root, path))) return true;
      return !hasTest(readFileSync(join(root, path), "utf8"), name);
    });
    assert.deepEqual(wrong, []);
    assert.equal(
      new Set(rows.map(({ path, name }) => `${path} ${name}`)).size,
      rows.length,
      "a test stands there twice",
    );
  });

  it("has a row of each fault that must not be without a test", () => {
    assert.deepEqual(required.filter((begin) => !rows.some(({ fault }) => fault.startsWith(begin))), []);
  });

  it("finds no test when a name differs, or a template is filled with something else", () => {
    const text =
      'it("does as it should", () => {});\nfor (const what of ["one"]) it(`does it well when ${what} comes`, f);';
    assert.equal(hasTest(text, "does as it should"), true);
    assert.equal(hasTest(text, "does it well when one comes"), true);
    for (
      const name of ["does as it", "does as it should not", "does it well when two comes", "does it well when  comes"]
    ) {
      assert.equal(hasTest(text, name), false, name);
    }
  });
});
