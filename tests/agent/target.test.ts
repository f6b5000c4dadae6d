import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseTarget, TargetError } from "../../src/agent/target.ts";

describe("parseTarget", () => {
  const good: [text: string, host: string, port: number, label: string][] = [
    ["3000", "localhost", 3000, "http://localhost:3000"],
    ["localhost:3000", "localhost", 3000, "http://localhost:3000"],
    ["10.0.0.7:80", "10.0.0.7", 80, "http://10.0.0.7:80"],
    ["[::1]:3000", "::1", 3000, "http://[::1]:3000"],
    [":3000", "localhost", 3000, "http://localhost:3000"],
    ["*:3000", "localhost", 3000, "http://localhost:3000"],
    ["http://:3000", "localhost", 3000, "http://localhost:3000"],
    // As servers print it that listen on every address.
    ["http://0.0.0.0:3000/", "localhost", 3000, "http://localhost:3000"],
    ["[::]:3000", "localhost", 3000, "http://localhost:3000"],
    ["localhost", "localhost", 80, "http://localhost:80"],
    ["127.0.0.1", "127.0.0.1", 80, "http://127.0.0.1:80"],
    ["[::1]", "::1", 80, "http://[::1]:80"],
    ["::1", "::1", 80, "http://[::1]:80"],
    ["HTTP://App:8080", "App", 8080, "http://App:8080"],
    ["http://app", "app", 80, "http://app:80"],
    ["http://app:8080/", "app", 8080, "http://app:8080"],
    ["http://[fe80::1]", "fe80::1", 80, "http://[fe80::1]:80"],
  ];
  for (const [text, host, port, label] of good) {
    it(`dials ${host} at ${port} when the target is ${text}`, () => {
      assert.deepEqual(parseTarget(text), { dial: { kind: "tcp", host, port }, label });
    });
  }

  it("dials a unix socket when the target begins with unix:", () => {
    const target = { dial: { kind: "unix", path: "/run/app.sock" }, label: "unix:/run/app.sock" };
    assert.deepEqual(parseTarget("unix:/run/app.sock"), target);
  });

  const bad = [
    ...["", "0", "65536", "99999999999999999999", "app", ":", "app:", "app:0", "app:65536", "app:x", "-1", "1.5"],
    ...["unix:", "http://", "http://app/path", "http://app?x=1", "ftp://app:21", "::1:3000"],
    ...["a b:80", "app:80 ", "http://[::1", "[]:80"],
  ];
  for (const text of bad) {
    it(`throws and shows the value when the target is ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseTarget(text), (error) => {
        assert.ok(error instanceof TargetError);
        assert.equal(error.code, "bad_target");
        return text.startsWith("unix:") || error.reason.includes(text);
      });
    });
  }

  for (
    const text of ["http://user:s3cret@app", "https://s3cret@app:8443/x", "user:s3cr@s3cret@app:80", "ftp://s3cret@h"]
  ) {
    it(`shows no user and password when the target is ${text}`, () => {
      assert.throws(() => parseTarget(text), ({ message }: Error) => {
        return !message.includes("s3cr") && message.includes(text.slice(text.lastIndexOf("@")));
      });
    });
  }

  const remedies: [text: string, remedy: RegExp][] = [
    ["::1:3000", /write \[::1\]:3000, or /],
    ["shop", /write shop:PORT, or http:\/\/shop for port 80$/],
    ["shop.example.com", /write shop\.example\.com:PORT, or http:\/\/shop\.example\.com for port 80$/],
    ["/run/app.sock", /for a unix socket, write unix:\/run\/app\.sock$/],
    ["65536", /the port must be 1 to 65535$/],
  ];
  for (const [text, remedy] of remedies) {
    it(`names the remedy when the target is ${text}`, () => assert.throws(() => parseTarget(text), remedy));
  }
});
