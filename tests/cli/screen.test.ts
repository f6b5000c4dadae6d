import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Line, Style } from "../../src/cli/live_view.ts";
import { Screen } from "../../src/cli/screen.ts";

const line = (text: string, style: Style = "plain"): Line => [{ text, style }];

/** A screen on a terminal of 20 columns, and what was written to it. */
function stage(isColored = false, hasUnicode = true) {
  const stage = { columns: 20, written: "", screen: null as unknown as Screen };
  stage.screen = new Screen({
    write: (text) => stage.written += text,
    columns: () => stage.columns,
    isColored,
    hasUnicode,
  });
  return stage;
}

/** What was written since the last call. */
function take(from: { written: string }): string {
  const { written } = from;
  from.written = "";
  return written;
}

describe("Screen", () => {
  it("goes back over the last lines when it draws again", () => {
    const at = stage();
    at.screen.draw([line("one"), line("two")]);
    assert.equal(take(at), "\r\x1b[Jone\ntwo\n");
    at.screen.draw([line("three")]);
    assert.equal(take(at), "\x1b[2A\r\x1b[Jthree\n");
  });

  it("draws as many columns of ASCII when the terminal has no more", () => {
    const at = stage(false, false);
    at.screen.draw([line("GET /caf\u00e9/too-lo\u2026")]);
    assert.equal(take(at), "\r\x1b[JGET /caf?/too-lo~\n");
  });

  it("goes back over the rows of broken lines when the window has become narrower", () => {
    const at = stage();
    at.screen.draw([line("x".repeat(20)), [], line("y")]);
    take(at);
    at.columns = 8;
    at.screen.draw([line("z")]);
    assert.equal(take(at), "\x1b[5A\r\x1b[Jz\n");
  });

  it("goes back over nothing when the lines were erased", () => {
    const at = stage();
    at.screen.draw([line("one")]);
    at.screen.clear();
    take(at);
    at.screen.draw([line("two")]);
    assert.equal(take(at), "\r\x1b[Jtwo\n");
  });

  it("colors what has a style when color is wanted, and nothing when it is not", () => {
    const [colored, plain] = [stage(true), stage(false)];
    for (const at of [colored, plain]) at.screen.draw([[...line("a", "strong"), ...line("b"), ...line("c", "bad")]]);
    assert.equal(take(colored), "\r\x1b[J\x1b[1ma\x1b[0mb\x1b[31mc\x1b[0m\n");
    assert.equal(take(plain), "\r\x1b[Jabc\n");
  });
});
