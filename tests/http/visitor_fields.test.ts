import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientAddressNames, VisitorField, visitorFieldOf } from "../../src/http/visitor_fields.ts";
import { inlineCode, readPage } from "../docs/page.ts";

const { NONE, FORWARDING, ADDRESS, REQUEST_ID } = VisitorField;

const table: readonly (readonly [name: string, kind: VisitorField])[] = [
  ["X-Forwarded-For", FORWARDING],
  ["x-forwarded-PROTO", FORWARDING],
  ["X-Forwarded-Anything-Else", FORWARDING],
  ["X-Forwarded", FORWARDING],
  ["Forwarded", FORWARDING],
  ["Forwarded-For", FORWARDING],
  ["X_Forwarded_For", FORWARDING],
  ["X-Forwarded_For", FORWARDING],
  ["x.forwarded.for", FORWARDING],
  ["X!Forwarded~Host", FORWARDING],
  ["X-Real-IP", ADDRESS],
  ["x-real-ip", ADDRESS],
  ["True-Client-IP", ADDRESS],
  ["CF-Connecting-IP", ADDRESS],
  ["CF-Connecting-IPv6", ADDRESS],
  ["Client-IP", ADDRESS],
  ["X-Client-IP", ADDRESS],
  ["X-Cluster-Client-IP", ADDRESS],
  ["Fastly-Client-IP", ADDRESS],
  ["Fly-Client-IP", ADDRESS],
  ["X-Azure-ClientIP", ADDRESS],
  ["WL-Proxy-Client-IP", ADDRESS],
  // No proxy writes these, and servers after the manner of CGI read them as the others.
  ["X_Real_IP", FORWARDING],
  ["True_Client-IP", FORWARDING],
  ["CF_CONNECTING_IP", FORWARDING],
  ["X-Request-ID", REQUEST_ID],
  ["x_request_id", REQUEST_ID],
  ["X-Forwardedly", NONE],
  ["Forwarded-Fo", NONE],
  ["X-Real-IPs", NONE],
  ["X-Requested-With", NONE],
  ["Content-Type", NONE],
  ["Cookie", NONE],
  ["Cache-Control", NONE],
  ["Traceparent", NONE],
  ["Client", NONE],
  ["", NONE],
];

describe("visitorFieldOf", () => {
  for (const [name, kind] of table) {
    it(`is ${Object.keys(VisitorField)[kind]} when the name is ${JSON.stringify(name)}`, () => {
      assert.equal(visitorFieldOf(name), kind);
    });
  }

  it("knows each name of an address when it is in any case", () => {
    for (const name of clientAddressNames) {
      assert.equal(visitorFieldOf(name), ADDRESS, name);
      assert.equal(visitorFieldOf(name.toUpperCase()), ADDRESS, name);
    }
  });

  it("has the list of docs/security.md", () => {
    const { text } = readPage("docs/security.md");
    const begin = text.indexOf("Fields of an address:");
    assert.ok(begin > 0);
    const listed = inlineCode({ prose: text.slice(begin, text.indexOf("\n\n", begin)).split("\n") });
    assert.deepEqual(listed.map((name) => name.toLowerCase()).sort(), [...clientAddressNames].sort());
  });
});
