import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CancelSource } from "../../../src/base/cancel.ts";
import { compressedUpstream } from "../../../src/http/mod.ts";
import { fieldValue, fieldValues } from "../../../src/http/fields.ts";
import type { Answer, Body, Fields, RequestHead } from "../../../src/http/message.ts";
import { wholeText } from "../../support/gunzip.ts";

const text = "it is what it is, ".repeat(200);
const bytes = new TextEncoder().encode(text);

function headOf(method = "GET", fields: Fields = ["Accept-Encoding", "gzip"]): RequestHead {
  return { method, target: "/", scheme: "http", authority: "a.test", fields, client: "", id: "1" };
}

function streamOf(...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** The answer of a compressed upstream that answers so. */
function ask(answer: Partial<Answer>, head = headOf()): Promise<Answer> {
  const whole: Answer = { status: 200, fields: ["Content-Type", "text/plain"], body: bytes, ...answer };
  return compressedUpstream(() => Promise.resolve(whole))(head, null, new CancelSource());
}

async function bytesOf(body: Body): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body as BodyInit | null).arrayBuffer());
}

const codingOf = ({ fields }: Answer) => fieldValue(fields, "content-encoding");
const variesBy = ({ fields }: Answer) => fieldValues(fields, "vary").join(", ");

describe("compressedUpstream", () => {
  for (const [what, body] of [["bytes", () => bytes], ["a stream", () => streamOf(bytes)]] as const) {
    it(`codes ${what}, and says so in the head`, async () => {
      const fields = ["Content-Type", "text/html; charset=utf-8", "Content-Length", String(bytes.length), "X-A", "1"];
      const more = ["ETag", '"v1"', "Accept-Ranges", "bytes", "Vary", "Origin"];
      const answer = await ask({ fields: [...fields, ...more], body: body() });
      const coded = await bytesOf(answer.body);
      assert.equal(wholeText(coded), text);
      assert.ok(coded.length < bytes.length / 4);
      const { fields: told } = answer;
      assert.equal(codingOf(answer), "gzip");
      assert.equal(fieldValue(told, "content-type"), "text/html; charset=utf-8");
      assert.deepEqual(fieldValues(told, "content-length"), what === "bytes" ? [String(coded.length)] : []);
      assert.equal(fieldValue(told, "etag"), 'W/"v1"');
      assert.equal(fieldValue(told, "accept-ranges"), undefined);
      assert.equal(fieldValue(told, "x-a"), "1");
      assert.equal(variesBy(answer), "Origin, Accept-Encoding");
    });
  }

  it("codes a long body in parts", async () => {
    const long = new TextEncoder().encode(text.repeat(40));
    const answer = await ask({ body: long });
    assert.ok(answer.body instanceof ReadableStream);
    assert.equal(wholeText(await bytesOf(answer.body)), text.repeat(40));
  });

  const types: readonly (readonly [contentType: string, isCoded: boolean])[] = [
    ...[
      ...["text/plain", "text/html; charset=utf-8", "TEXT/CSS", "text/event-stream", "text/javascript", "text/xml"],
      ...["application/json", "application/json;charset=utf-8", "application/problem+json", "application/ld+json"],
      ...["application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-seq"],
      ...["application/geo+json-seq", "application/stream+json", "application/xml", "application/atom+xml"],
      ...["application/javascript", "image/svg+xml", "application/manifest+json"],
    ].map((type) => [type, true] as const),
    ...[
      ...["image/png", "image/jpeg", "video/mp4", "font/woff2", "application/zip", "application/gzip"],
      ...[
        "application/octet-stream",
        "application/pdf",
        "application/grpc-web",
        "multipart/x-mixed-replace; boundary=x",
      ],
      ...["application/vnd.docker.raw-stream", "jsonp", ""],
    ].map((type) => [type, false] as const),
  ];
  for (const [contentType, isCoded] of types) {
    it(`${isCoded ? "codes" : "does not code"} ${JSON.stringify(contentType)}`, async () => {
      const answer = await ask({ fields: ["Content-Type", contentType] });
      assert.equal(codingOf(answer), isCoded ? "gzip" : undefined);
      assert.equal(variesBy(answer), isCoded ? "Accept-Encoding" : "");
    });
  }

  const type = ["Content-Type", "text/plain"];
  const untouched: readonly [why: string, answer: Partial<Answer>][] = [
    ["it has no type", { fields: [] }],
    ["it is coded already", { fields: [...type, "Content-Encoding", "br"] }],
    ["it must not be transformed", { fields: [...type, "Cache-Control", "no-cache, No-Transform"] }],
    ["it has a digest of its content", { fields: [...type, "Content-Digest", "sha-256=:AA==:"] }],
    ["it has a digest of its form", { fields: [...type, "Repr-Digest", "sha-256=:AA==:"] }],
    ["it has an old digest", { fields: [...type, "Digest", "sha-256=AA=="] }],
    ["it has an MD5", { fields: [...type, "Content-MD5", "AA=="] }],
    ["it is a part", { status: 206, fields: [...type, "Content-Range", "bytes 0-1/9"] }],
    ["it has no content", { status: 204, fields: type, body: null }],
    ["it resets the content", { status: 205, fields: type, body: null }],
    ["it is a small body", { fields: type, body: bytes.subarray(0, 1_023) }],
    ["it is a small stream", {
      fields: [...type, "Content-Length", "1023"],
      body: streamOf(bytes.subarray(0, 1_023)),
    }],
    ["it switches protocols", { status: 101, fields: type, upgrade: "websocket", body: streamOf(bytes) }],
    ["it asks for an upgrade", { status: 426, fields: type, upgrade: "websocket" }],
  ];
  for (const [why, parts] of untouched) {
    it(`passes an answer as it is where ${why}`, async () => {
      const answer: Answer = { status: 200, fields: type, body: bytes, ...parts };
      const passed = await compressedUpstream(() => Promise.resolve(answer))(headOf(), null, new CancelSource());
      assert.equal(passed, answer);
    });
  }

  it("codes a stream of 1 KiB, one of unknown length, and errors", async () => {
    const cases: readonly Partial<Answer>[] = [
      { fields: [...type, "Content-Length", "1024"], body: streamOf(bytes.subarray(0, 1_024)) },
      { fields: type, body: streamOf(bytes.subarray(0, 10)) },
      { fields: type, body: streamOf() },
      { status: 404, fields: type },
      { status: 500, fields: type },
    ];
    for (const answer of cases) assert.equal(codingOf(await ask(answer)), "gzip");
  });

  const requests: readonly [why: string, head: RequestHead, isCoded: boolean][] = [
    ["the visitor accepts no gzip", headOf("GET", ["Accept-Encoding", "br"]), false],
    ["the visitor says nothing", headOf("GET", []), false],
    ["the visitor refuses it", headOf("GET", ["Accept-Encoding", "gzip;q=0, *"]), false],
    [
      "the visitor accepts it in a second field",
      headOf("GET", ["accept-encoding", "br", "accept-encoding", "gzip"]),
      true,
    ],
    ["the visitor asks for a range", headOf("GET", ["Accept-Encoding", "gzip", "Range", "bytes=0-9"]), false],
    ["the visitor posts", headOf("POST"), true],
  ];
  for (const [why, head, isCoded] of requests) {
    it(`says that the answer varies, and ${isCoded ? "codes" : "does not code"} it, where ${why}`, async () => {
      const answer = await ask({ fields: [...type, "ETag", '"v1"'] }, head);
      assert.equal(codingOf(answer), isCoded ? "gzip" : undefined);
      assert.equal(variesBy(answer), "Accept-Encoding");
      if (isCoded) return;
      assert.equal(answer.body, bytes);
      assert.equal(fieldValue(answer.fields, "etag"), '"v1"');
    });
  }

  it("tells HEAD the fields of GET, but for the length, which nobody knows", async () => {
    const fields = [...type, "Content-Length", "3600", "ETag", '"v1"'];
    const answer = await ask({ fields, body: null }, headOf("HEAD"));
    assert.deepEqual(answer.body, null);
    const coded = [...type, "ETag", 'W/"v1"', "Content-Encoding", "gzip", "Vary", "Accept-Encoding"];
    assert.deepEqual(answer.fields, coded);
    const plain = await ask({ fields, body: null }, headOf("HEAD", []));
    assert.deepEqual(plain.fields, [...fields, "Vary", "Accept-Encoding"]);
  });

  it("does not repeat what Vary says already", async () => {
    for (const vary of ["Accept-Encoding", "origin, accept-encoding", "*"]) {
      assert.equal(variesBy(await ask({ fields: [...type, "Vary", vary] })), vary);
    }
  });

  it("leaves a weak ETag as it is", async () => {
    const { fields } = await ask({ fields: [...type, "ETag", 'W/"v1"'] });
    assert.equal(fieldValue(fields, "etag"), 'W/"v1"');
  });

  it("tells a visitor that asked with the weak ETag that it is still good", async () => {
    const cases: readonly [asked: string, told: string][] = [
      ['W/"v1"', 'W/"v1"'],
      ['"v0", W/"v1"', 'W/"v1"'],
      ['"v1"', '"v1"'],
      ['W/"v2"', '"v1"'],
    ];
    for (const [asked, told] of cases) {
      const head = headOf("GET", ["Accept-Encoding", "gzip", "If-None-Match", asked]);
      const answer = await ask({ status: 304, fields: ["ETag", '"v1"', "X-A", "1"], body: null }, head);
      const vary = told === '"v1"' ? [] : ["Vary", "Accept-Encoding"];
      assert.deepEqual(answer, { status: 304, fields: ["ETag", told, "X-A", "1", ...vary], body: null }, asked);
    }
  });

  it("leaves digests out of the trailers, and keeps the others", async () => {
    const { trailers } = await ask({ body: streamOf(bytes), trailers: () => ["Content-Digest", "x", "X-Sum", "1"] });
    assert.deepEqual(trailers?.(), ["X-Sum", "1"]);
  });

  it("rejects as its upstream does", async () => {
    const failing = compressedUpstream(() => Promise.reject(new Error("no upstream")));
    await assert.rejects(failing(headOf(), null, new CancelSource()), /no upstream/);
  });
});
