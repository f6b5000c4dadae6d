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
  ["X-Azure-SocketIP", ADDRESS],
  ["X-Original-Forwarded-For", ADDRESS],
  ["DO-Connecting-IP", ADDRESS],
  ["Incap-Client-IP", ADDRESS],
  ["X-Sucuri-ClientIP", ADDRESS],
  ["CloudFront-Viewer-Address", ADDRESS],
  // The scheme in JSON, which frameworks believe as they do an address.
  ["CF-Visitor", ADDRESS],
  ["WL-Proxy-Client-IP", ADDRESS],
  // No proxy writes these, and servers after the manner of CGI read them as the others.
  ["X_Real_IP", FORWARDING],
  ["True_Client-IP", FORWARDING],
  ["CF_CONNECTING_IP", FORWARDING],
  ["CF_Visitor", FORWARDING],
  ["do.connecting.ip", FORWARDING],
  ["Incap_Client_IP", FORWARDING],
  ["X-Request-ID", REQUEST_ID],
  ["x_request_id", REQUEST_ID],
  ["X-Forwardedly", NONE],
  ["Forwarded-Fo", NONE],
  ["X-Real-IPs", NONE],
  ["X-Requested-With", NONE],
  ["Content-Type", NONE],
  ["DO-Connecting", NONE],
  ["Incap-Client", NONE],
  ["If-None-Match", NONE],
  ["Disposition", NONE],
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

  for (const language of ["nginx", "caddy"]) {
    it(`has each name in the block for ${language} of docs/server.md, which writes or removes it`, () => {
      const { fences } = readPage("docs/server.md");
      const lines = fences.filter((fence) => fence.language === language).flatMap((fence) => fence.lines);
      const named = lines.map((line) => /^\s*(?:proxy_set_header|header_up) -?(\S+)/.exec(line)?.[1]?.toLowerCase());
      assert.deepEqual(clientAddressNames.filter((name) => !named.includes(name)), []);
    });
  }
});
