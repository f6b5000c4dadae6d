import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { acceptOf, inAcceptedForm } from "../../src/edge/error_page.ts";
import { fieldValue } from "../../src/http/fields.ts";
import { problemAnswer } from "../../src/http/problem_answer.ts";
import { problemCodes, problemKinds } from "../../src/http/problems.ts";
import { requestHead } from "../support/client_requests.ts";
import { latin1 } from "../support/net.ts";

const page = (code: typeof problemCodes[number]) =>
  inAcceptedForm(problemAnswer(code, "host <b>shop</b>", ["Allow", "GET"]), code, "text/html");

describe("inAcceptedForm", () => {
  for (const code of problemCodes) {
    it(`makes a page of ${code} that says status, code and what to do, and nothing of the request`, () => {
      const { status, fields, body } = page(code);
      const { title, visitorAdvice } = problemKinds[code];
      const text = latin1(body as Uint8Array);
      assert.equal(status, problemKinds[code].status);
      assert.equal(fieldValue(fields, "content-length"), String((body as Uint8Array).length));
      assert.ok(text.includes(`<code>${status} ${code}</code>`));
      assert.ok(text.includes(`<h1>${title}</h1>`));
      assert.ok(text.includes(`<p>${visitorAdvice}</p>`));
      assert.match(visitorAdvice, /^[A-Z][^<>&]+[^.]\.$/);
      assert.match(title, /^[^<>&]+$/);
      assert.doesNotMatch(text, /shop|\b(?:src|href|url)\b|https?:|<script/);
    });
  }

  it("keeps the fields of the problem, and allows the page nothing but its own style", () => {
    const { fields, body } = page("tunnel_offline");
    const style = /<style>(.*)<\/style>/s.exec(latin1(body as Uint8Array))?.[1] as string;
    const hash = createHash("sha256").update(style).digest("base64");
    assert.deepEqual(fields, [
      ...["Content-Type", "text/html; charset=utf-8", "Content-Length", String((body as Uint8Array).length)],
      ...["Cache-Control", "no-store", "X-Runnel-Error", "tunnel_offline", "Retry-After", "5", "Allow", "GET"],
      ...["Content-Security-Policy", `default-src 'none'; style-src 'sha256-${hash}'`],
      ...["X-Content-Type-Options", "nosniff", "Vary", "Accept"],
    ]);
  });

  it("leaves problem details as they are, with Vary where there was a choice", () => {
    const problem = problemAnswer("not_found", "There is nothing");
    assert.equal(inAcceptedForm(problem, "not_found", null), problem);
    const chosen = inAcceptedForm(problem, "not_found", "*/*");
    assert.deepEqual(chosen, { ...problem, fields: [...problem.fields, "Vary", "Accept"] });
  });
});

describe("acceptOf", () => {
  it("joins the fields, and is empty when there is none", () => {
    assert.equal(acceptOf(requestHead({ fields: ["Accept", "a/b", "X", "y", "accept", "c/d"] })), "a/b, c/d");
    assert.equal(acceptOf(requestHead()), "");
  });

  it("is null for handshakes of upgrades, and not for HEAD", () => {
    const fields = ["Accept", "text/html"];
    assert.equal(acceptOf(requestHead({ method: "HEAD", fields })), "text/html");
    assert.equal(acceptOf(requestHead({ upgrade: "websocket", fields })), null);
  });
});
