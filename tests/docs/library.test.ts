/**
 * The programs of docs/library.md and of the npm package's README, run as they stand there by each runtime; the tables
 * beside the declarations.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { version } from "../../src/config/version.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { installLibrary, libraryHosts, LibraryProgram } from "../support/library.ts";
import { freePort, SocketReader } from "../support/net.ts";
import { get, getRequest, type PublicTunnel, send } from "../support/public_client.ts";
import { exchange, startTestEdge } from "../support/tunnel.ts";
import { commandsOf, inlineCode, packageReadme, readPage, readPages, root, tableRows } from "./page.ts";

const page = readPage("docs/library.md");
const programs = new Map(
  [page, readPage(packageReadme)].flatMap(({ fences }) => fences).filter(({ language }) => language === "ts")
    .map(({ marker, lines }) => [marker, `${lines.join("\n")}\n`]),
);

/** What the page tells Deno's users to allow. */
const denoFlags = page.fences.filter(({ marker }) => marker === "library").flatMap(commandsOf)
  .find((command) => command.startsWith("deno run "))!.split(" ").filter((word) => word.startsWith("-"));

describe("the programs of the library's pages", () => {
  let folder: string;
  let edge: Edge;
  let chatPort: number;
  const running: LibraryProgram[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-library-"));
    [edge, chatPort] = await Promise.all([startTestEdge({ version, token: "secret" }), freePort()]);
    await installLibrary(folder, "hono");
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((program) => program.stop()));
  });
  after(async () => {
    await edge.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts a program of the page. Its ports become those of this test; `changes` are made to its text. */
  async function start(
    host: Parameters<typeof startIn>[0],
    name: string,
    args: readonly string[] = [],
    changes: Readonly<Record<string, string>> = {},
  ): Promise<LibraryProgram> {
    let text = programs.get(name) ?? assert.fail(`the page has no program ${name}`);
    for (const [written, here] of Object.entries({ "8080": edge.address.port, "3000": chatPort, ...changes })) {
      assert.ok(!(written in changes) || text.includes(written), `${name} has no ${written}`);
      text = text.replaceAll(written, String(here));
    }
    await writeFile(join(folder, name), text);
    return startIn(host, name, args);
  }

  function startIn(
    host: ReturnType<typeof libraryHosts>[number],
    name: string,
    args: readonly string[],
  ): LibraryProgram {
    const program = new LibraryProgram(host, folder, name, ...args);
    running.push(program);
    return program;
  }

  const at = (name: string, port = edge.address.port): PublicTunnel => ({
    host: `${name}.localhost`,
    connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
  });
  const post = (tunnel: PublicTunnel, body: string) => {
    const head = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n`;
    return exchange(tunnel, `${head}\r\n${body}`);
  };

  for (const host of libraryHosts(denoFlags)) {
    const { name: runtime, skip } = host;

    it(`hello.ts answers at the URL that it prints on ${runtime}`, { skip }, async () => {
      const program = await start(host, "hello.ts");
      await program.printed(/^http:\/\/hello\.localhost:\d+\n/);
      assert.match(await get(at("hello"), "/world"), /\r\n\r\nhello, \/world\n$/);
    });

    it(`expose.js of the package's README answers at the URL that it prints on ${runtime}`, { skip }, async () => {
      const program = await start(host, "expose.js");
      const [, name] = await program.printed(/^http:\/\/(\w+)\.localhost:\d+\n/);
      assert.match(await get(at(name!), "/world"), /\r\n\r\nhello, \/world\n$/);
    });

    it(`service.ts answers, tells of errors, and closes at SIGINT on ${runtime}`, { skip }, async () => {
      const program = await start(host, "service.ts");
      await program.printed(/^open at http:\/\/service\.localhost/);
      assert.match(await post(at("service"), "12345"), /\r\n\r\n5 characters\n$/);
      assert.match(await get(at("service")), /^HTTP\/1\.1 405 /);
      assert.match(await post(at("service"), ""), /^HTTP\/1\.1 502 /);
      await program.printed(/POST failed: RangeError: nothing was posted/);
      edge.tunnels.get("service")!.session!.close("a test");
      await program.printed(/disconnected: [^]*open at/);
      assert.equal(await program.stop("SIGINT"), 0, program.stderr);
      assert.match(program.stdout, /\nclosed\n$/);
    });

    it(`service.ts says why it has no tunnel on ${runtime}`, { skip }, async () => {
      const program = await start(host, "service.ts", [], { '"secret"': '"wrong"' });
      assert.equal(await program.exitCode, 1, program.stderr);
      assert.match(program.stdout, /^unauthorized: /);
    });

    it(`clock.ts streams each event of Hono's streamSSE at once, until the visitor leaves, on ${runtime}`, {
      skip,
    }, async () => {
      const program = await start(host, "clock.ts");
      await program.printed(/^http:\/\/clock\.localhost/);
      const visitor = await send(at("clock"), getRequest(at("clock")));
      const first = await visitor.readUntil("id: 1\n");
      assert.match(first, /\r\nContent-Type: text\/event-stream\r\n/i);
      await visitor.readUntil("id: 2\n");
      visitor.socket.reset();
      await program.printed(/the visitor left/);
    });

    it(`chat_server.ts and chat_client.ts talk in rooms on ${runtime}`, { skip }, async () => {
      const server = await start(host, "chat_server.ts");
      await server.printed(new RegExp(`^http://127\\.0\\.0\\.1:${chatPort}/chat\n`));
      const ann = await start(host, "chat_client.ts", ["ann", "tea"]);
      await ann.printed(/^0 others are in tea\n/);
      const bob = await start(host, "chat_client.ts", ["Bоb", "tea"]);
      await bob.printed(/^1 others are in tea\n/);
      const eve = await start(host, "chat_client.ts", ["eve"]);
      await eve.printed(/^0 others are in lobby\n/);
      assert.match(await get(at("chat", chatPort)), /\r\n\r\n(?:8\r\n)?2 rooms\n/);
      ann.type("hello");
      await bob.printed(/\nann: hello\n/);
      bob.type("hello yourself");
      await ann.printed(/\nBоb: hello yourself\n/);

      const refused = await start(host, "chat_client.ts", ["ann"], { '"/chat"': '"/elsewhere"' });
      assert.equal(await refused.exitCode, 1, refused.stderr);
      assert.match(refused.stdout, /^The chat refused: 200 2 rooms\n/);

      bob.endInput();
      assert.equal(await bob.exitCode, 0, bob.stderr);
      eve.type("x".repeat(5_000));
      assert.notEqual(await eve.exitCode, 0);
    });
  }

  it("are all run by these tests", () => {
    const shown = ["hello.ts", "service.ts", "clock.ts", "chat_server.ts", "chat_client.ts", "expose.js"];
    assert.deepEqual([...programs.keys()], shown);
    assert.equal(readPages().flatMap(({ fences }) => fences).filter(({ language }) => language === "ts").length, 6);
  });
});

describe("the tables of docs/library.md", () => {
  it("name every option of expose, in order", async () => {
    const source = await readFile(join(root, "src", "agent", "expose.ts"), "utf8");
    const [, members = ""] = /interface ExposeOptions \{([^]*?)\n\}/.exec(source)!;
    const declared = [...members.matchAll(/^ {2}(\w+)\??[(:]/gm)].map(([, name]) => name);
    // The clock is for tests.
    const shown = declared.filter((name) => name !== "clock").sort();
    const documented = tableRows(page, "option").map(([cell = ""]) => /^`(\w+)/.exec(cell)?.[1]);
    assert.deepEqual(documented.sort(), shown);
  });

  const unions: Readonly<Record<string, string>> = {
    AgentError: "src/agent/errors.ts",
    SocketError: "src/net/socket.ts",
    HandshakeError: "src/websocket/dial.ts",
    ConnectionError: "src/httpstream/errors.ts",
    StreamError: "src/httpstream/errors.ts",
  };
  for (const [error, file] of Object.entries(unions)) {
    it(`name every code of ${error}`, async () => {
      const source = await readFile(join(root, file), "utf8");
      const [, union = ""] = new RegExp(`type ${error}Code =([^]*?);\n\n`).exec(source)!;
      const codes = [...union.matchAll(/^\s+\| "(\w+)"/gm)].map(([, code]) => code);
      const row = tableRows(page, "error").find(([cell]) => cell === `\`${error}\``);
      assert.deepEqual(inlineCode({ prose: [row![2]!] }).sort(), codes.sort());
    });
  }
});
