/** AcmeClientIssuer and a CA that refuses, as a scripted server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { AcmeClientIssuer } from "../../src/acme/acme_client_issuer.ts";
import { CaRequests, MAX_ANSWER_BYTES } from "../../src/acme/ca_requests.ts";
import { AcmeError } from "../../src/acme/issuer.ts";
import { HttpChallenges } from "../../src/acme/http_challenges.ts";
import { FakeClock } from "../support/clock.ts";
import { withScratch } from "../support/scratch.ts";
import { pem, serverKey } from "../support/tls.ts";

interface Refusal {
  readonly status: number;
  readonly body: unknown;
  readonly fields?: Readonly<Record<string, string>>;
}

/** Runs `use` with a CA that has accounts, and refuses each order. `asked` has the paths of requests. */
function withCa(refusal: Refusal, use: (issuer: AcmeClientIssuer, asked: string[]) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const asked: string[] = [];
    const server = createServer({ cert: pem("server"), key: serverKey }, (request, response) => {
      const url = (path: string) => `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
      const answer = (status: number, body: unknown, fields: Readonly<Record<string, string>> = {}) => {
        const nonce = { "Replay-Nonce": `nonce${asked.length}`, "Content-Type": "application/json" };
        response.writeHead(status, { ...nonce, ...fields }).end(JSON.stringify(body));
      };
      asked.push(request.url!);
      request.resume().on("end", () => {
        if (request.url === "/order") return answer(refusal.status, refusal.body, refusal.fields);
        if (request.url === "/account") return answer(201, { status: "valid" }, { Location: url("/account/1") });
        if (request.url === "/nonce") return answer(200, {});
        answer(200, { newNonce: url("/nonce"), newAccount: url("/account"), newOrder: url("/order"), meta: {} });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const directoryUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
    const accountKeyPath = join(folder, "account.key");
    try {
      await use(new AcmeClientIssuer({ directoryUrl, accountKeyPath, ca: pem("authority") }), asked);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}

const order = { names: ["shop.test"], challenge: "http-01", prover: new HttpChallenges() } as const;

function failsWith(reason: string) {
  return (error: unknown) => {
    assert.ok(error instanceof AcmeError, String(error));
    assert.equal(error.reason, reason);
    return true;
  };
}

describe("AcmeClientIssuer", () => {
  it("fails at once with the words of the CA when that has a limit, however long it asks to wait", () => {
    const detail = 'too many certificates (50) already issued for "test" in the last 168h0m0s';
    const body = { type: "urn:ietf:params:acme:error:rateLimited", detail };
    return withCa({ status: 429, body, fields: { "Retry-After": "86400" } }, async (issuer, asked) => {
      await assert.rejects(issuer.issue(order), failsWith(`The CA takes no order: ${detail}`));
      assert.equal(asked.filter((path) => path === "/order").length, 1);
    });
  });

  it("fails when the CA has an error of its own", () =>
    withCa({ status: 503, body: { detail: "The service is down for maintenance." } }, async (issuer) => {
      await assert.rejects(
        issuer.issue(order),
        failsWith("The CA takes no order: The service is down for maintenance"),
      );
    }));

  it("shows words of the CA that must not move a cursor as text, and cuts them", () =>
    withCa({ status: 403, body: { detail: `no\u001b[2J${"x".repeat(5_000)}` } }, async (issuer) => {
      await assert.rejects(issuer.issue(order), (error: AcmeError) => {
        assert.match(error.reason, /^The CA takes no order: no\\x1b\[2Jx+$/);
        assert.ok(error.reason.length < 600);
        return true;
      });
    }));

  it("fails when an answer of the CA is larger than any should be", () =>
    withCa({ status: 403, body: { detail: "x".repeat(MAX_ANSWER_BYTES) } }, async (issuer) => {
      const reason = `The CA takes no order: Its answer is over ${MAX_ANSWER_BYTES} bytes`;
      await assert.rejects(issuer.issue(order), failsWith(reason));
    }));
});

describe("CaRequests", () => {
  it("give up when the CA has not answered for 30 s", async () => {
    let onAsked!: () => void;
    const asked = new Promise<void>((resolve) => onAsked = resolve);
    const server = createServer({ cert: pem("server"), key: serverKey }, () => onAsked());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const clock = new FakeClock();
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
    const requests = new CaRequests({ ca: pem("authority"), clock });
    const refused = assert.rejects(
      requests.send({ method: "GET", url, fields: {}, body: null }),
      failsWith("It has not answered within 30 s"),
    );
    await asked;
    clock.advance(30_000);
    await refused;
    server.closeAllConnections();
    server.close();
  });

  it("refuse a URL of the CA that is not https", async () => {
    const request = { method: "GET", url: "http://127.0.0.1:1/dir", fields: {}, body: null };
    const reason = "The CA names a URL that is not https: http://127.0.0.1:1";
    await assert.rejects(new CaRequests({}).send(request), failsWith(reason));
  });

  it("name what is wrong with the certificate of a CA that the system does not know", async () => {
    const server = createServer({ cert: pem("server"), key: serverKey }, () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
    const sent = new CaRequests({}).send({ method: "GET", url, fields: {}, body: null });
    await assert.rejects(sent, /certificate is signed by an unknown authority/);
    server.close();
  });
});
