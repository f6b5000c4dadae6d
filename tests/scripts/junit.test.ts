import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseJUnit } from "../../scripts/lib/junit.mjs";

describe("parseJUnit", () => {
  it("gives full names and outcomes when suites are nested, as Bun writes them", () => {
    const tests = parseJUnit(`<?xml version="1.0" encoding="UTF-8"?>
      <testsuites name="bun test" tests="4" failures="1">
        <testsuite name="tests/a.test.ts" file="tests/a.test.ts" tests="4">
          <testsuite name="A &amp; &lt;b&gt;" tests="3">
            <testcase name="works" classname="A" time="0.1" assertions="0" />
            <testcase name="fails" classname="A">
              <failure type="AssertionError" message="short">1 !== 2&#10;at line</failure>
            </testcase>
            <testsuite name="inner"><testcase name="waits"><skipped message="TODO" /></testcase></testsuite>
          </testsuite>
          <testcase name="top" classname="" />
        </testsuite>
      </testsuites>`);
    assert.deepEqual(tests, [
      { name: "A & <b> > works", outcome: "passed", detail: "" },
      { name: "A & <b> > fails", outcome: "failed", detail: "1 !== 2\nat line" },
      { name: "A & <b> > inner > waits", outcome: "skipped", detail: "TODO" },
      { name: "top", outcome: "passed", detail: "" },
    ]);
  });

  it("counts a suite only when it failed by itself, as Deno writes them", () => {
    const tests = parseJUnit(`<testsuites name="deno test" tests="6" failures="3">
        <testsuite name="./tests/a.test.ts" tests="3">
          <testcase name="A" classname="./tests/a.test.ts"><failure message="x">1 test step failed.</failure></testcase>
          <testcase name="B" classname="./tests/a.test.ts"></testcase>
          <testcase name="C" classname="./tests/a.test.ts">
            <failure message="Uncaught Error: hook
over two lines">Error: hook</failure>
          </testcase>
          <testcase name="D"><error message="Cancelled"/></testcase>
        </testsuite>
        <testsuite name="ext:deno_node/testing.ts" tests="3">
          <testcase name="A &gt; fails"><failure message="m">Error: m</failure></testcase>
          <testcase name="B &gt; works"></testcase>
          <testcase name="C &gt; works"></testcase>
        </testsuite>
      </testsuites>`);
    assert.deepEqual(tests.map(({ name, outcome, detail }) => [name, outcome, detail]), [
      ["C", "failed", "Error: hook"],
      ["D", "failed", "Cancelled"],
      ["A > fails", "failed", "Error: m"],
      ["B > works", "passed", ""],
      ["C > works", "passed", ""],
    ]);
  });

  it("finds nothing when a runtime crashed before it wrote", () => {
    assert.deepEqual(parseJUnit(""), []);
  });
});
