import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  agreedProtocol,
  announcedLength,
  answerFields,
  parseAnswer,
  parseRequest,
  requestFields,
} from "../../../src/session/v2/pseudo_fields.ts";
import { Feature } from "../../../src/httpstream/mod.ts";
import { withFields } from "../../../src/http/message.ts";
import { head } from "./stage.ts";

describe("pseudo-fields", () => {
  it("requestFields puts the head's own facts first, and the fields behind them as they are", () => {
    const fields = ["X-A", "1", "x-a", "2", "Cookie", "a=b"];
    assert.deepEqual(requestFields(head({ method: "POST", scheme: "https", fields })), [
      ...[":method", "POST", ":scheme", "https", ":authority", "shop.localhost", ":path", "/x?y=%41"],
      ...[":client", "192.0.2.1", ":request-id", "r1"],
      ...fields,
    ]);
  });

  it("requestFields names an upgrade's token as :protocol", () => {
    const fields = requestFields(head({ upgrade: "chat/2" }));
    assert.equal(fields[fields.indexOf(":protocol") + 1], "chat/2");
  });

  it("parseRequest gives back what requestFields was given", () => {
    for (
      const given of [
        head(),
        head({ scheme: "https", upgrade: "websocket", authority: "", client: "::1" }),
        head({ visitorConnection: "c-1" }),
      ]
    ) {
      assert.deepEqual(parseRequest(requestFields(given)), withFields(given, given.fields));
    }
  });

  it("requestFields gives the id by which a proxy calls the request as :request-id", () => {
    const fields = requestFields(head({ id: "own-1", requestId: "proxys-1" }));
    assert.equal(fields[fields.indexOf(":request-id") + 1], "proxys-1");
  });

  it("requestFields names a visitor's connection as :visitor-connection", () => {
    const fields = requestFields(head({ visitorConnection: "c-1" }));
    assert.equal(fields[fields.indexOf(":visitor-connection") + 1], "c-1");
    assert.ok(!requestFields(head()).includes(":visitor-connection"));
  });

  it("parseRequest passes over pseudo-fields that it does not know, as earlier agents do", () => {
    const [first, second, ...others] = requestFields(head());
    assert.deepEqual(parseRequest([first, second, ":later", "x", ...others]), parseRequest(requestFields(head())));
  });

  for (const missing of [":method", ":path"]) {
    it(`parseRequest refuses a head without ${missing}`, () => {
      const fields = [...requestFields(head())];
      fields.splice(fields.indexOf(missing), 2);
      assert.throws(() => parseRequest(fields), { name: "ExchangeError", code: "bad_request" });
    });
  }

  it("parseRequest takes a scheme that it does not know for http", () => {
    assert.equal(parseRequest([":method", "GET", ":scheme", "gopher", ":path", "/"]).scheme, "http");
  });

  it("parseAnswer gives status and fields", () => {
    const answer = { status: 418, reason: undefined, fields: ["X", "1"], upgrade: undefined };
    assert.deepEqual(parseAnswer(answerFields({ ...answer, body: null }, Feature.REASON)), answer);
  });

  it("answerFields names a reason phrase, and what a 426 asks for, and parseAnswer gives them back", () => {
    const answer = { status: 426, reason: "Upgrade, please", fields: ["X", "1"], upgrade: "TLS/1.0, HTTP/2.0" };
    const fields = answerFields({ ...answer, body: null }, Feature.REASON);
    assert.deepEqual(fields, [
      ...[":status", "426", ":reason", "Upgrade, please", ":protocol", "TLS/1.0,HTTP/2.0"],
      ...["X", "1"],
    ]);
    assert.deepEqual(parseAnswer(fields), { ...answer, upgrade: "TLS/1.0,HTTP/2.0" });
    assert.equal(parseAnswer([":reason", "", ":status", "200"]).reason, "");
  });

  it("answerFields names no reason phrase when the peer takes none", () => {
    const answer = { status: 200, reason: "Fine", fields: [], body: null };
    assert.deepEqual(answerFields(answer, 0), [":status", "200"]);
    assert.deepEqual(answerFields(answer, ~Feature.REASON), [":status", "200"]);
  });

  it("parseAnswer takes a standard reason phrase for none, and a protocol of a 426 alone", () => {
    assert.equal(parseAnswer([":status", "404", ":reason", "Not Found"]).reason, undefined);
    assert.equal(parseAnswer([":status", "200", ":protocol", "h2c"]).upgrade, undefined);
    assert.equal(parseAnswer([":status", "426", ":protocol", ",@,"]).upgrade, undefined);
  });

  it("agreedProtocol is the one that a 101 names, or the only one that was asked", () => {
    const named = (protocol: string) =>
      answerFields({ status: 101, fields: ["X", "1"], body: null, upgrade: protocol }, 0);
    assert.equal(agreedProtocol(named("b/2"), "a,b"), "b/2");
    const unnamed = [":status", "101"];
    assert.equal(agreedProtocol(unnamed, "chat"), "chat");
    for (const [received, asked] of [[named("c"), "a,b"], [unnamed, "a,b"], [named("a"), undefined]]) {
      assert.throws(() => agreedProtocol(received as string[], asked as string | undefined), {
        name: "ExchangeError",
        code: "upstream_invalid",
      });
    }
  });

  for (const received of [[], ["X", "1"], [":status", "099"], [":status", "20x"]]) {
    it(`parseAnswer refuses ${JSON.stringify(received)}`, () => {
      assert.throws(() => parseAnswer(received), { name: "ExchangeError", code: "upstream_invalid" });
    });
  }

  it("announcedLength gives the one Content-Length, null where there is none", () => {
    assert.equal(announcedLength(["content-LENGTH", "12"]), 12);
    assert.equal(announcedLength(["Content-Length", "0"]), 0);
    assert.equal(announcedLength(["X", "1"]), null);
  });

  for (const values of [["1", "1"], ["1", "2"], ["-1"], ["1, 1"], ["0x1"], [""], ["9007199254740993"]]) {
    it(`announcedLength refuses the Content-Length ${values.join(" and ")}`, () => {
      const fields = values.flatMap((value) => ["Content-Length", value]);
      assert.throws(() => announcedLength(fields), { name: "ExchangeError", code: "upstream_invalid" });
    });
  }
});
