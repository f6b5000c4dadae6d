import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, latin1 } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";
import { withTunnel, write } from "./stage.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("interim answers through a tunnel", () => {
  it("come before the answer, each as it is sent", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n");
      await peer.readUntil("seen");
      await peer.send("HTTP/1.1 102 Processing\r\n\r\n");
      await peer.readUntil("seen");
      await peer.send(ok);
    }, async ({ ask }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 8\r\n\r\n");
      const first = await client.readUntil("\r\n\r\n");
      assert.match(first, /^HTTP\/1\.1 103 [^]*^Link: <\/a>; rel=preload\r\nLink: <\/b>\r$/m);
      write(client, "seen");
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 102 /);
      write(client, "seen");
      assert.match(await client.readUntil("ok"), /^HTTP\/1\.1 200 OK\r\n/);
      client.socket.reset();
    });
  });

  for (const protocol of protocols) {
    it(`without end are a 502, and the next request is served (${protocol})`, async () => {
      let reason = "";
      await withTunnel(async (peer) => {
        const head = await peer.readHead();
        if (head.startsWith("GET /next")) return void await peer.send(ok);
        for (let sent = 0; sent < 50; sent++) await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100));
        await peer.gone();
        reason = "the agent left";
      }, async ({ ask }) => {
        const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
        assert.match(await client.readUntil("X-Runnel-Error: upstream_invalid"), /HTTP\/1\.1 502 /);
        client.socket.reset();
        await eventually(() => reason !== "");
        const next = await ask("GET /next HTTP/1.1\r\nHost: HOST\r\n\r\n");
        assert.match(await next.readUntil("ok"), /^HTTP\/1\.1 200 /);
        next.socket.reset();
      }, { protocol });
    });
  }

  it("are 16 at most", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40) + ok);
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      const got = await client.readUntil("ok");
      assert.equal(got.split("HTTP/1.1 103").length - 1, 16);
      client.socket.reset();
    });
  });

  it("are kept from an HTTP/1.0 client", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 103 Early Hints\r\n\r\n" + ok);
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.0\r\nHost: HOST\r\n\r\n");
      assert.match(latin1(await client.readAll()), /^HTTP\/1\.1 200 OK\r\n[^]*ok$/);
    });
  });
});

describe("Expect: 100-continue through a tunnel", () => {
  const request = "PUT / HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

  it("is the upstream's to answer: 100, then the body", async () => {
    let seen = "";
    await withTunnel(async (peer) => {
      seen = await peer.readHead();
      await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      assert.equal(await peer.read(5), "hello");
      await peer.send(ok);
    }, async ({ ask, upstream }) => {
      const client = await ask(request);
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 100 Continue\r\n/);
      assert.ok((await upstream.peer(0)).received.endsWith("\r\n\r\n"), "no byte of the body was sent before");
      write(client, "hello");
      assert.match(await client.readUntil("ok"), /^HTTP\/1\.1 200 OK\r\n/);
      client.socket.reset();
    });
    assert.match(seen, /^Expect: 100-continue\r$/m);
  });

  for (const status of ["417 Expectation Failed", "401 Unauthorized", "413 Content Too Large"]) {
    it(`is the upstream's to refuse with ${status}, and no body is sent`, async () => {
      await withTunnel(async (peer) => {
        await peer.readHead();
        await peer.send(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
      }, async ({ ask, upstream }) => {
        const client = await ask(request);
        const got = await client.readUntil("no");
        assert.ok(got.startsWith(`HTTP/1.1 ${status}\r\n`), got);
        assert.match(got, /^Connection: close\r$/m);
        const peer = await upstream.peer(0);
        await peer.whenClosed();
        assert.ok(peer.received.endsWith("\r\n\r\n"));
        client.socket.reset();
      });
    });
  }
});

describe("trailers through a tunnel", () => {
  const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
  const end = "0\r\nX-Sum: 7\r\nX-Sum: 8\r\n\r\n";

  it("of an answer reach a client that takes them, and the upstream is told that it does", async () => {
    let seen = "";
    await withTunnel(async (peer) => {
      seen = await peer.readHead();
      await peer.send(answer + "1\r\na\r\n");
      await peer.readUntil("go on");
      await peer.send(end);
    }, async ({ ask }) => {
      const client = await ask(
        "POST / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: TE\r\nContent-Length: 5\r\n\r\n",
      );
      assert.match(await client.readUntil("1\r\na\r\n"), /^Trailer: X-Sum\r$/m);
      write(client, "go on");
      assert.match(await client.readUntil("X-Sum: 8\r\n\r\n"), /^0\r\nX-Sum: 7\r\nX-Sum: 8\r\n\r\n$/);
      client.socket.reset();
    });
    assert.match(seen, /^TE: trailers\r$/m);
    assert.match(seen, /^Connection: TE\r$/m);
  });

  it("of an answer that came whole reach a client that takes them", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(answer + "2\r\nab\r\n" + end);
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
      assert.match(await client.readUntil("X-Sum: 8\r\n\r\n"), /\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n/);
      client.socket.reset();
    });
  });

  it("of an answer stay away from a client that did not ask", async () => {
    let seen = "";
    await withTunnel(async (peer) => {
      seen = await peer.readHead();
      await peer.send(answer + "2\r\nab\r\n" + end);
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
      assert.doesNotMatch(latin1(await client.readAll()), /x-sum: /i);
    });
    assert.doesNotMatch(seen, /^TE:/im);
  });

  it("drop what does not belong there", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(`${answer}1\r\na\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\nHost: evil\r\n\r\n`);
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n");
      const got = latin1(await client.readAll());
      assert.ok(got.endsWith("1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n"), got);
    });
  });

  for (const [how, body] of [["whole", "2\r\nhi\r\n0\r\nX-Sum: 3\r\n\r\n"], ["empty", "0\r\nX-Sum: 3\r\n\r\n"]]) {
    it(`of a request whose body is ${how} reach the upstream`, async () => {
      await withTunnel(async (peer) => {
        assert.match(await peer.readHead(), /^Transfer-Encoding: chunked\r$/m);
        assert.equal(await peer.readUntil("\r\n\r\n"), body);
        await peer.send(ok);
      }, async ({ ask }) => {
        const client = await ask(`POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
        assert.match(await client.readUntil("ok"), /^HTTP\/1\.1 200 OK\r\n/);
        client.socket.reset();
      });
    });
  }

  it("of a streamed request reach the upstream", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.readUntil("1\r\na\r\n");
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
      assert.equal(await peer.readUntil("\r\n\r\n"), "0\r\nX-Sum: 3\r\n\r\n");
      await peer.send("0\r\n\r\n");
    }, async ({ ask }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      await client.readUntil("2\r\nhi\r\n");
      write(client, "0\r\nX-Sum: 3\r\n\r\n");
      await client.readUntil("0\r\n\r\n");
      client.socket.reset();
    });
  });
});
