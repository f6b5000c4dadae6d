import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { proxyFor, ProxyUrlError } from "../../src/agent/proxy.ts";

type Environment = Record<string, string>;

/** The label of the proxy for that edge, or null. */
function chosen(edge: string, environment: Environment, flag?: string): string | null {
  const sources = { flag, environment: (name: string) => environment[name] };
  return proxyFor(parseEdgeUrl(edge, true), sources)?.label ?? null;
}

const all = { ALL_PROXY: "http://all.test:1" };
const https = "https://edge.test";
const http = "http://edge.test";

describe("proxyFor", () => {
  const choices: [what: string, edge: string, environment: Environment, label: string | null][] = [
    ["nothing is set", https, {}, null],
    ["all is set", https, all, "http://all.test:1"],
    [
      "the edge is https",
      https,
      { ...all, HTTPS_PROXY: "http://s.test:2", HTTP_PROXY: "http://p.test" },
      "http://s.test:2",
    ],
    ["the edge is wss", "wss://edge.test", { HTTPS_PROXY: "http://s.test:2" }, "http://s.test:2"],
    [
      "the edge is http",
      http,
      { ...all, HTTPS_PROXY: "http://s.test:2", HTTP_PROXY: "http://p.test" },
      "http://p.test",
    ],
    ["only the other scheme's is set", http, { HTTPS_PROXY: "http://s.test:2" }, null],
    ["both cases are set", https, { HTTPS_PROXY: "http://up.test", https_proxy: "http://low.test" }, "http://low.test"],
    ["one is empty", https, { https_proxy: "", HTTPS_PROXY: "", all_proxy: "http://low.test" }, "http://low.test"],
    ["it has no scheme", https, { https_proxy: "proxy.test:3128" }, "http://proxy.test:3128"],
    ["it is a port", https, { https_proxy: "3128" }, "http://127.0.0.1:3128"],
    ["it is a port behind a colon", https, { https_proxy: ":3128" }, "http://127.0.0.1:3128"],
    ["it is a port behind a scheme", https, { https_proxy: "http://:3128" }, "http://127.0.0.1:3128"],
    ["it has a password and a port alone", https, { https_proxy: "http://u:p@3128" }, "http://127.0.0.1:3128"],
    ["it is an IPv6 address without brackets", https, { https_proxy: "fd00::1" }, "http://[fd00::1]"],
    ["it is https", https, { https_proxy: "https://proxy.test" }, "https://proxy.test"],
    ["it is an IPv6 address", https, { https_proxy: "http://[fd00::1]:3128" }, "http://[fd00::1]:3128"],
    ["the edge is on this machine", "https://localhost:8443", all, null],
    ["the edge is on this machine, by address", "http://127.0.0.1:8080", all, null],
  ];
  for (const [what, edge, environment, label] of choices) {
    it(`gives ${label} when ${what}`, () => assert.equal(chosen(edge, environment), label));
  }

  const exemptions: [list: string, edge: string, exempt: boolean][] = [
    ["*", https, true],
    ["edge.test", https, true],
    ["EDGE.test", https, true],
    [".test", https, true],
    ["test", https, true],
    ["*.test", https, true],
    ["other.test, edge.test", https, true],
    ["other.test edge.test", https, true],
    ["dge.test", https, false],
    ["a.edge.test", https, false],
    ["edge.test:443", https, true],
    ["edge.test:8443", https, false],
    ["edge.test:8443", "https://edge.test:8443", true],
    ["10.0.0.7", "https://10.0.0.7", true],
    ["10.0.0.7:443", "https://10.0.0.7", true],
    ["10.0.0.7:80", "https://10.0.0.7", false],
    ["10.0.0.0/8", "https://10.200.0.7", true],
    ["10.0.0.0/8", "https://11.0.0.7", false],
    ["0.0.0.0/0", "https://11.0.0.7", true],
    ["10.0.0.0/8", "https://[fd00::1]", false],
    ["10.0.0.0/33", "https://10.0.0.7", false],
    ["10.0.0.0/x", "https://10.0.0.7", false],
    ["10.0.0.0/", "https://10.0.0.0", false],
    ["10.0.0.0/8", https, false],
    ["fd00::/8", "https://[fdab::1]", true],
    ["fd00::/8", "https://[fe80::1]", false],
    ["fd00::1", "https://[fd00:0:0::1]", true],
    ["[fd00::1]", "https://[fd00::1]", true],
    ["[fd00::1]:443", "https://[fd00::1]", true],
    ["[fd00::1]:80", "https://[fd00::1]", false],
    [",, ,", https, false],
    [".", https, false],
    ["]:x[", https, false],
  ];
  for (const [list, edge, exempt] of exemptions) {
    it(`${exempt ? "spares" : "does not spare"} ${edge} when NO_PROXY is ${JSON.stringify(list)}`, () => {
      assert.equal(chosen(edge, { ...all, NO_PROXY: list }), exempt ? null : "http://all.test:1");
      assert.equal(chosen(edge, { ...all, no_proxy: list, NO_PROXY: "other" }), exempt ? null : "http://all.test:1");
    });
  }

  it("takes the flag's before everything else", () => {
    const environment = { ...all, NO_PROXY: "*" };
    assert.equal(chosen(https, environment, "http://flag.test:3128"), "http://flag.test:3128");
    assert.equal(chosen("http://localhost:8080", environment, "flag.test:3128"), "http://flag.test:3128");
  });

  it("keeps the credentials out of the label", () => {
    const flag = "http://us%40er:p%C3%A4ss:w%2F@proxy.test:3128";
    const proxy = proxyFor(parseEdgeUrl(https), { flag, environment: () => undefined });
    assert.deepEqual(proxy, {
      target: { kind: "tcp", host: "proxy.test", port: 3128 },
      authorization: `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode("us@er:p\u00e4ss:w/")))}`,
      label: "http://proxy.test:3128",
    });
  });

  it("dials an https proxy with TLS, at its default port", () => {
    const tls = { insecure: true };
    const proxy = proxyFor(parseEdgeUrl(https), { flag: "https://proxy.test", environment: () => undefined, tls });
    assert.deepEqual(proxy?.target, { kind: "tcp", host: "proxy.test", port: 443, tls });
  });

  const bad = [
    "",
    "http://",
    "socks5://user:secret@proxy.test:1080",
    "http://user:secret@proxy.test/path",
    "http://user:secret@proxy.test?x",
    "http://user:secret@proxy.test:99999",
    "user:secret@proxy.test:port",
    "http://user:secret%FF@proxy.test",
    "http://user:secret@@/@x y:1",
  ];
  for (const flag of bad) {
    it(`throws, names the source and hides the password when the proxy is ${JSON.stringify(flag)}`, () => {
      assert.throws(() => chosen(https, {}, flag), (error) => {
        assert.ok(error instanceof ProxyUrlError);
        assert.equal(error.code, "bad_proxy_url");
        assert.match(error.reason, /--proxy/);
        assert.doesNotMatch(error.reason, /secret/);
        return true;
      });
    });
  }

  it("throws and names the variable when the environment's is no proxy", () => {
    assert.throws(() => chosen(https, { ALL_PROXY: "socks5://127.0.0.1:1080" }), /socks5:.* of ALL_PROXY is neither/);
  });
});
