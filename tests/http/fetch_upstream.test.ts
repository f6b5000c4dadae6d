import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fetchUpstream } from "../../src/http/fetch_upstream.ts";
import { BodyReader, bodyText, FedBody, never, rejectsWith, requestHead } from "../support/client_requests.ts";
import { bytesOf, eventually } from "../support/net.ts";

/** The answer's values of one name, in lower case as a `Headers` object gives them. */
function values(fields: readonly string[], name: string): string[] {
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1].toLowerCase() === name);
}

describe("fetchUpstream", () => {
  it("fetchUpstream gives the function the request and takes its answer", async () => {
    const handler = fetchUpstream(async (request) => {
      assert.equal(request.method, "POST");
      assert.equal(request.url, "https://a.test/p?x=%41");
      assert.equal(request.headers.get("x-one"), "1");
      const headers = new Headers({ "X-Two": "2" });
      headers.append("Set-Cookie", "a=1");
      headers.append("Set-Cookie", "b=2");
      return new Response(`got ${await request.text()}`, { status: 201, headers });
    });
    for (const body of [bytesOf("text"), new Blob(["text"]).stream()]) {
      const head = requestHead({ method: "POST", scheme: "https", target: "/p?x=%41", fields: ["X-One", "1"] });
      const answer = await handler(head, body, never);
      assert.equal(answer.status, 201);
      assert.deepEqual(values(answer.fields, "x-two"), ["2"]);
      assert.deepEqual(values(answer.fields, "set-cookie"), ["a=1", "b=2"]);
      assert.equal(await bodyText(answer.body), "got text");
    }
  });

  it("fetchUpstream asks at the base when one is given", async () => {
    const handler = fetchUpstream((request) => new Response(request.url), { base: "http://app.internal:8080" });
    const answer = await handler(requestHead({ target: "/x" }), null, never);
    assert.equal(await bodyText(answer.body), "http://app.internal:8080/x");
  });

  it("fetchUpstream streams both ways when the function does", async () => {
    const handler = fetchUpstream((request) => new Response(request.body));
    const body = new FedBody();
    const reader = new BodyReader(await handler(requestHead({ method: "POST" }), body.stream, never));
    for (let round = 0; round < 10; round++) {
      body.push(`round ${round}`);
      assert.equal(await reader.next(), `round ${round}`);
    }
    body.end();
    assert.equal(await reader.next(), null);
  });

  it("fetchUpstream drops the body when a HEAD is answered with one", async () => {
    const answered = new FedBody();
    const answer = await fetchUpstream(() => new Response(answered.stream))(
      requestHead({ method: "HEAD" }),
      null,
      never,
    );
    assert.equal(answer.body, null);
    await eventually(() => answered.canceled !== undefined);
  });

  it("fetchUpstream answers as if not asked when an upgrade is", async () => {
    const raw = new FedBody();
    const head = requestHead({ method: "POST", upgrade: "chat" });
    const answer = await fetchUpstream(async (request) => new Response(`${await request.text()}.`))(
      head,
      raw.stream,
      never,
    );
    assert.deepEqual([answer.status, answer.upgrade, await bodyText(answer.body)], [200, undefined, "."]);
    assert.notEqual(raw.canceled, undefined);
  });

  it("fetchUpstream gives the function the content of an upgrade, and its end", async () => {
    const raw = new FedBody((body) => body.push("content, raw bytes"));
    const head = requestHead({ method: "POST", upgrade: "tcp", fields: ["Content-Length", "7"] });
    const answer = await fetchUpstream(async (request) => new Response(`${await request.text()}.`))(
      head,
      raw.stream,
      never,
    );
    assert.deepEqual([answer.status, await bodyText(answer.body)], [200, "content."]);
    assert.notEqual(raw.canceled, undefined);
  });

  it("fetchUpstream fails with upstream_failed when the function throws or rejects", async () => {
    const thrown = new Error("no luck");
    const functions = [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown),
    ];
    for (const failing of functions) {
      const body = new FedBody();
      const error = await rejectsWith(fetchUpstream(failing)(requestHead(), body.stream, never), "upstream_failed");
      assert.deepEqual([error.status, error.cause], [502, thrown]);
      assert.notEqual(body.canceled, undefined);
    }
  });

  it("fetchUpstream fails with canceled when the signal aborts", async () => {
    const abort = new AbortController();
    const handler = fetchUpstream((request) =>
      new Promise((_resolve, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)))
    );
    const asked = handler(requestHead(), null, abort.signal);
    abort.abort();
    await rejectsWith(asked, "canceled");
    const body = new FedBody();
    await rejectsWith(handler(requestHead({ method: "POST" }), body.stream, abort.signal), "canceled");
    assert.notEqual(body.canceled, undefined);
  });
});
