/** Authentication that belongs to a connection: nobody else may be served on it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientOptions } from "../../../src/http1/client/options.ts";
import type { Answer } from "../../../src/http/message.ts";
import { FakeClock } from "../../support/clock.ts";
import { bodyText, requestHead } from "../../support/client_requests.ts";
import { onStage, type Stage } from "../../support/client_stage.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import { answeringEach, ntlmHello, ntlmProof, ntlmServer } from "../../support/ntlm_server.ts";
import type { Script } from "../../support/scripted_server.ts";

/** Answers every request with the connection's index, and with `fields`. */
function answering(fields = ""): Script {
  return answeringEach((_head, peer) => `HTTP/1.1 200 OK\r\n${fields}Content-Length: 1\r\n\r\n${peer.index}`);
}

const textOf = async (answer: Promise<Answer>): Promise<string> => await bodyText((await answer).body);
const bound: Partial<ClientOptions> = { connectionAuth: true };

describe("HttpClient connection authentication", () => {
  for (
    const [name, value] of [
      ["Authorization", "NTLM TlRMTVNTUAAB"],
      ["authorization", "negotiate YIIF"],
      ["AUTHORIZATION", "NEGOTIATE YIIF"],
      ["Authorization", "Nego2 YIIF"],
      ["Authorization", "Kerberos YIIF"],
      ["Proxy-Authorization", "NTLM TlRMTVNTUAAB"],
    ]
  ) {
    it(`HttpClient uses a connection no more when it carried ${name}: ${value}`, async () => {
      await onStage(answering(), async ({ ask, client, server }) => {
        assert.equal(await textOf(ask({ fields: ["Accept", "*/*", name, value] })), "0");
        await eventually(() => client.active + client.idle === 0);
        assert.equal(await textOf(ask()), "1");
        assert.deepEqual([server.peers[0].ended, server.peers[0].reset], [true, false]);
      });
    });
  }

  for (
    const fields of [
      "WWW-Authenticate: NTLM",
      "www-authenticate: NEGOTIATE",
      "WWW-Authenticate: Negotiate oYG2",
      "WWW-Authenticate: Negotiate:Kerberos",
      'WWW-Authenticate: Basic realm="a, b", charset="UTF-8",Negotiate , NTLM',
      "WWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM",
      "Proxy-Authenticate: NTLM",
      "Persistent-Auth: true",
    ]
  ) {
    it(`HttpClient uses a connection no more when its answer had ${fields.replace("\r\n", ", ")}`, async () => {
      await onStage(answering(`${fields}\r\n`), async ({ ask }) => {
        assert.equal(await textOf(ask()), "0");
        assert.equal(await textOf(ask()), "1");
      });
    });
  }

  for (
    const [name, value, answered] of [
      ["Authorization", "Basic bnRsbTpuZWdvdGlhdGU=", "WWW-Authenticate: Basic realm=NTLMv2\r\n"],
      ["Authorization", "Bearer NTLM", 'WWW-Authenticate: Digest nonce="Negotiates", opaque=ntlm\r\n'],
      ["X-Authorization", "NTLM x", "X-WWW-Authenticate: NTLM\r\nPersistent-Auth: false\r\n"],
    ]
  ) {
    it(`HttpClient goes on using a connection that carried ${name}: ${value}`, async () => {
      await onStage(answering(answered), async ({ ask }) => {
        assert.equal(await textOf(ask({ fields: [name, value] })), "0");
        assert.equal(await textOf(ask()), "0");
      });
    });
  }

  it("HttpClient closes such a connection after a streamed answer, too", async () => {
    await onStage(async (peer) => {
      await peer.readHead();
      peer.send(`HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
      await peer.send("0\r\n\r\n");
      await peer.gone();
      peer.end();
    }, async ({ ask, client }) => {
      assert.equal(await textOf(ask()), "a");
      await eventually(() => client.active + client.idle === 0);
    });
  });

  for (const options of [{}, bound]) {
    const how = options === bound ? "with" : "without";
    it(`HttpClient never answers others as the user of a connection ${how} connectionAuth`, async () => {
      await onStage(ntlmServer, async ({ ask }) => {
        const alice = { visitorConnection: "c1" };
        await textOf(ask({ ...alice, fields: ["Authorization", ntlmHello] }));
        await textOf(ask({ ...alice, fields: ["Authorization", ntlmProof("alice")] }));
        for (const visitorConnection of [undefined, "c2", "c10", ""]) {
          const text = await textOf(ask({ visitorConnection }));
          assert.match(text, / as nobody$/, `${visitorConnection}`);
        }
      }, options);
    });
  }
});

describe("HttpClient connectionAuth", () => {
  /** The handshake of a user whose visitor's connection has that name. Returns the index of the upstream connection. */
  async function signIn(ask: Stage["ask"], user: string, visitorConnection: string): Promise<string> {
    assert.equal((await ask({ visitorConnection })).status, 401);
    assert.equal((await ask({ visitorConnection, fields: ["Authorization", ntlmHello] })).status, 401);
    const text = await textOf(ask({ visitorConnection, fields: ["Authorization", ntlmProof(user)] }));
    assert.match(text, new RegExp(`^\\d+ as ${user}$`));
    return text.split(" ")[0];
  }

  it("HttpClient keeps a connection with the visitor's own one when it authenticates", async () => {
    await onStage(ntlmServer, async ({ ask, client, server }) => {
      const alice = await signIn(ask, "alice", "c1");
      const bob = await signIn(ask, "bob", "c2");
      assert.notEqual(alice, bob);
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), `${alice} as alice`);
      assert.equal(await textOf(ask({ visitorConnection: "c2", method: "POST" }, bytesOf("x"))), `${bob} as bob`);
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), `${alice} as alice`);
      assert.deepEqual([client.idle, client.active, server.peers.length], [2, 0, 2]);
    }, bound);
  });

  it("HttpClient goes on pooling the connections of visitors who do not authenticate", async () => {
    await onStage(answering(), async ({ ask }) => {
      for (const visitorConnection of ["c1", "c2", "c3"]) assert.equal(await textOf(ask({ visitorConnection })), "0");
    }, bound);
  });

  it("HttpClient closes a bound connection when it was idle for boundIdleMs", async () => {
    const clock = new FakeClock();
    await onStage(ntlmServer, async ({ ask, client, server }) => {
      await signIn(ask, "alice", "c1");
      clock.advance(74_999);
      assert.equal(client.idle, 1);
      clock.advance(1);
      await eventually(() => client.active + client.idle === 0);
      await eventually(() => server.peers[0].ended);
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), "1 as nobody");
    }, { ...bound, clock });
  });

  it("HttpClient keeps at most maxBound of them, and closes the one that is idle longest", async () => {
    await onStage(ntlmServer, async ({ ask, client, server }) => {
      for (const name of ["a", "b", "c", "d"]) await signIn(ask, name, name);
      await eventually(() => server.open === 3);
      assert.equal(client.idle, 3);
      assert.match(await textOf(ask({ visitorConnection: "b" })), / as b$/);
      assert.match(await textOf(ask({ visitorConnection: "a" })), / as nobody$/);
    }, { ...bound, maxBound: 3 });
  });

  it("HttpClient gives a second request at the same time another connection, never another visitor's", async () => {
    await onStage(ntlmServer, async ({ ask, client }) => {
      const alice = await signIn(ask, "alice", "c1");
      const texts = await Promise.all([1, 2].map(() => textOf(ask({ visitorConnection: "c1" }))));
      assert.deepEqual(texts, [`${alice} as alice`, "1 as nobody"]);
      // The second one was challenged. One connection alone is kept for a visitor's.
      await eventually(() => client.idle === 1 && client.active === 0);
    }, bound);
  });

  it("HttpClient forgets a bound connection when the upstream closes it", async () => {
    await onStage(async (peer) => {
      if (peer.index > 0) return await ntlmServer(peer);
      await peer.readHead();
      await peer.send("HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
      peer.end();
    }, async ({ ask, client }) => {
      await ask({ visitorConnection: "c1" });
      await eventually(() => client.active + client.idle === 0);
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), "1 as nobody");
    }, bound);
  });

  it("HttpClient gives up a bound connection when requests wait for a socket", async () => {
    await onStage(ntlmServer, async ({ ask }) => {
      await signIn(ask, "alice", "c1");
      assert.equal(await textOf(ask()), "1 as nobody");
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), "2 as nobody");
    }, { ...bound, maxSockets: 1 });
  });

  it("HttpClient does not keep a connection that ends with its answer", async () => {
    await onStage(async (peer) => {
      await peer.readHead();
      peer.send(
        `HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nConnection: close\r\nContent-Length: 1\r\n\r\n${peer.index}`,
      );
      await peer.gone();
    }, async ({ ask, client }) => {
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), "0");
      assert.equal(client.idle, 0);
      assert.equal(await textOf(ask({ visitorConnection: "c1" })), "1");
    }, bound);
  });

  it("HttpClient closes bound connections when it is closed", async () => {
    await onStage(ntlmServer, async ({ ask, client, server }) => {
      await signIn(ask, "alice", "c1");
      client.close();
      await eventually(() => server.open === 0);
      assert.deepEqual([client.idle, client.active], [0, 0]);
    }, bound);
  });

  it("HttpClient refuses limits that are out of range", async () => {
    for (const options of [{ boundIdleMs: 0 }, { maxBound: -1 }]) {
      await assert.rejects(onStage(ntlmServer, () => Promise.resolve(), options), { code: "invalid_option" });
    }
  });

  it("HttpClient names no visitor's connection to the upstream", async () => {
    await onStage(answering(), async ({ ask, server }) => {
      await textOf(ask({ ...requestHead(), visitorConnection: "c1" }));
      assert.equal(server.peers[0].received, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }, bound);
  });
});
