import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ListenAddress, parseListenAddress } from "../../src/config/listen_address.ts";

const tcp = (host: string, port: number) => ({ kind: "tcp" as const, host, port });

describe("parseListenAddress", () => {
  const good: [text: string, address: ListenAddress][] = [
    ["8080", { target: tcp("0.0.0.0", 8080), scheme: null }],
    ["127.0.0.1", { target: tcp("127.0.0.1", 8080), scheme: null }],
    ["[::]:80", { target: tcp("::", 80), scheme: null }],
    ["http://[::]:80", { target: tcp("::", 80), scheme: "http" }],
    ["HTTP://0.0.0.0:80/", { target: tcp("0.0.0.0", 80), scheme: "http" }],
    ["https://[::]:443", { target: tcp("::", 443), scheme: "https" }],
    ["https://*:443/", { target: tcp("::", 443), scheme: "https" }],
    ["https://8443", { target: tcp("0.0.0.0", 8443), scheme: "https" }],
    ["unix:/run/edge.sock", { target: { kind: "unix", path: "/run/edge.sock" }, scheme: null }],
    ["https://unix:/run/edge.sock", { target: { kind: "unix", path: "/run/edge.sock" }, scheme: "https" }],
    ["fd:3", { target: { kind: "fd", fd: 3 }, scheme: null }],
    ["https://fd:3", { target: { kind: "fd", fd: 3 }, scheme: "https" }],
    ["http://fd:4", { target: { kind: "fd", fd: 4 }, scheme: "http" }],
  ];
  for (const [text, address] of good) {
    it(`reads ${text}`, () => assert.deepEqual(parseListenAddress(text), address));
  }

  const bad: [text: string, reason: RegExp][] = [
    ["https://example.com", /names no port: write https:\/\/example\.com:443, or another port/],
    ["http://127.0.0.1", /names no port: write http:\/\/127\.0\.0\.1:8080, or another port/],
    ["https://", /Invalid address/],
    ["https://[::]:443/path", /Invalid address/],
    ["ftp://127.0.0.1:21", /Invalid address/],
    ["https://https://127.0.0.1:1", /Invalid address/],
  ];
  for (const [text, reason] of bad) {
    it(`throws for ${text}`, () => assert.throws(() => parseListenAddress(text), reason));
  }
});
