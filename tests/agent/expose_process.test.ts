/** Programs that use `expose`, as processes: what keeps them alive, and what they end with. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { version } from "../../src/config/version.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { copyProgram, installLibrary, libraryHosts, LibraryProgram } from "../support/library.ts";
import { bytesOf, freePort, latin1, SocketReader } from "../support/net.ts";
import { startTestEdge } from "../support/tunnel.ts";

/** Asks the tunnel for `target`, and reads to the end of the connection, in whatever way that ends. */
async function ask(port: number, target: string): Promise<string> {
  const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  client.socket.write(bytesOf(`GET ${target} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n`));
  await client.ended.catch(() => {});
  const answer = latin1(await client.read(client.receivedBytes));
  client.socket.reset();
  return answer;
}

describe("a program that exposes a function", () => {
  let folder: string;
  let file: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-expose-"));
    await installLibrary(folder);
    file = await copyProgram("tests/agent/programs/exposed.mjs", folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Gives `use` the running program and an edge, and ends both. */
  async function withProgram(
    host: Parameters<typeof start>[0],
    use: (program: LibraryProgram, edge: Edge, restart: (token?: string) => Promise<Edge>) => Promise<void>,
  ): Promise<void> {
    let edge = await startTestEdge({ version });
    const { port } = edge.address;
    const program = start(host, port);
    try {
      await use(program, edge, async (token) => {
        const listen = { kind: "tcp", host: "127.0.0.1", port } as const;
        return edge = await startTestEdge({ listen, version, token: token ?? "test-token" });
      });
    } finally {
      await program.stop();
      await edge.close();
    }
  }

  function start(host: ReturnType<typeof libraryHosts>[number], port: number, ...args: string[]): LibraryProgram {
    return new LibraryProgram(host, folder, file, String(port), ...args);
  }

  for (const host of libraryHosts()) {
    const { name, skip } = host;

    it(`gets an AgentError on ${name} when there is no edge`, { skip }, async () => {
      const program = start(host, await freePort(), "600");
      assert.equal(await program.exitCode, 0, program.stderr);
      assert.equal(program.stdout, "rejected AgentError edge_unreachable\n");
      assert.equal(program.stderr, "");
    });

    it(
      `comes back on ${name} when its edge was away`,
      { skip },
      () =>
        withProgram(host, async (program, edge, restart) => {
          await program.printed(/ready http:/);
          await edge.close();
          await program.printed(/disconnected/);
          const { port } = (await restart()).address;
          await program.printed(/ready http:[^]*ready http:/);
          assert.match(await ask(port, "/"), /ok$/);
        }),
    );

    for (const way of ["drain", "close"]) {
      it(`ends by itself on ${name} after ${way}()`, { skip }, () =>
        withProgram(host, async (program, edge) => {
          await program.printed(/ready http:/);
          await ask(edge.address.port, `/${way}`);
          assert.equal(await program.exitCode, 0, program.stderr);
          assert.match(program.stdout, /\nclosed undefined\n$/);
        }));
    }

    it(
      `ends by itself on ${name}, and says why, when the edge refuses for good`,
      { skip },
      () =>
        withProgram(host, async (program, edge, restart) => {
          await program.printed(/ready http:/);
          await edge.close();
          await program.printed(/disconnected/);
          await restart("another-token");
          assert.equal(await program.exitCode, 0, program.stderr);
          assert.match(program.stdout, /\nclosed unauthorized\n$/);
          assert.match(program.stderr, /AgentError/);
        }),
    );

    it(
      `tells the console on ${name} of an error of its function`,
      { skip },
      () =>
        withProgram(host, async (program, edge) => {
          await program.printed(/ready http:/);
          assert.match(await ask(edge.address.port, "/throw?secret=1"), /^HTTP\/1\.1 502 /);
          await ask(edge.address.port, "/drain");
          await program.exitCode;
          assert.match(program.stderr, /GET http:\/\/shop\.localhost(?::\d+)?\/throw[^]*a mistake of the function's/);
          assert.doesNotMatch(program.stderr, /secret/);
        }),
    );
  }
});
