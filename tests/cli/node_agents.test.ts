/** `agent http` with the token of a node: what it opens, what it prints, and what becomes of it when the token ends. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { version } from "../../src/config/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { eventually, SocketReader } from "../support/net.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import { withScratch } from "../support/scratch.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTestEdge } from "../support/tunnel.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const HELLO = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** An edge with its data folder, and the commands that ask its admin API. */
class Stage {
  constructor(
    readonly folder: string,
    readonly run: ProgramRun,
    readonly admin: string,
    readonly port: number,
  ) {}

  static async start(folder: string): Promise<Stage> {
    const flags = ["--data", folder, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--token", "shared"];
    const run = new ProgramRun(edgeProgram, ["serve", "--json", ...flags]);
    const ready = await run.event("ready");
    return new Stage(folder, run, `http://${ready.admin}`, Number(String(ready.listen).split(":").at(-1)));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Runs `edge WORDS`, which must succeed, and resolves to what it prints. */
  async command(...words: string[]): Promise<Record<string, unknown>> {
    const access = ["--admin", this.admin, "--data", this.folder, "--json"];
    const { exitCode, stdout, stderr } = await runToEnd(edgeProgram, [...words, ...access]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout);
  }

  /** Enrols a node and keeps its token in a file, whose path it resolves to. */
  async node(name: string): Promise<string> {
    const { token } = await this.command("node", "add", name);
    return this.keep(name, token);
  }

  async keep(node: string, token: unknown): Promise<string> {
    const file = join(this.folder, `${node}.token`);
    await writeFile(file, `${token}\n`);
    return file;
  }

  async tunnel(name: string, node: string, ...hostnames: string[]): Promise<void> {
    const flags = hostnames.flatMap((hostname) => ["--hostname", hostname]);
    await this.command("tunnel", "add", name, "--node", node, "--upstream", "3000", ...flags);
  }

  agent(target: string | number, ...flags: string[]): ProgramRun {
    return new ProgramRun(agentProgram, ["http", String(target), "--edge", this.url, ...flags]);
  }

  visitor(host: string) {
    const target = { kind: "tcp", host: "127.0.0.1", port: this.port } as const;
    return { host, connect: async () => new SocketReader(await dial(target)) };
  }
}

for (const protocol of protocols) {
  describe(`agent http with a node's token, over ${protocol}`, () => {
    let folder: string;
    let stage: Stage;
    let upstream: ScriptedServer;
    let end: () => void;
    let ended: Promise<void>;
    before(async () => {
      const started = Promise.withResolvers<void>();
      ended = withScratch(async (path) => {
        folder = path;
        [stage, upstream] = await Promise.all([Stage.start(folder), ScriptedServer.answering(HELLO)]);
        started.resolve();
        await new Promise<void>((resolve) => end = resolve);
        await Promise.all([stage.run.stop(), upstream.close()]);
      });
      await Promise.race([started.promise, ended]);
    });
    after(async () => {
      end();
      await ended;
    });
    const as = (file: string, ...flags: string[]) => ["--token-file", file, "--protocol", protocol, ...flags];

    it("prints all URLs of its tunnel, and serves them", async () => {
      const file = await stage.node("urls");
      await stage.tunnel("urls", "urls", "urls.test", "*.urls.test");
      const urls = ["urls.localhost", "urls.test", "*.urls.test"].map((host) => `http://${host}:${stage.port}`);
      const agent = stage.agent(upstream.port, ...as(file, "--name", "urls", "--json"));
      const ready = await agent.event("ready");
      assert.deepEqual([ready.url, ready.urls], [urls[0], urls]);
      for (const host of ["urls.localhost", "urls.test", "a.urls.test"]) {
        assert.match(await get(stage.visitor(host)), /\r\n\r\nhello$/, host);
      }
      assert.equal(await agent.stop(), 0);

      const plain = stage.agent(upstream.port, ...as(file, "--name", "urls"));
      await plain.waitFor(() => plain.stdout.includes("*.urls.test"));
      assert.equal(plain.stdout, urls.map((url) => `${url} -> http://localhost:${upstream.port}\n`).join(""));
      assert.equal(await plain.stop(), 0);
    });

    it("shows all URLs in the live view", async () => {
      const file = await stage.node("live");
      await stage.tunnel("live", "live", "live.test", "*.live.test");
      const agent = new ProgramRun(
        agentProgram,
        ["http", String(upstream.port), "--edge", stage.url, ...as(file, "--name", "live")],
        { terminal: { isTerminal: true, columns: 120, rows: 24 } },
      );
      await agent.waitFor(() => agent.stdout.includes(`http://*.live.test:${stage.port}`));
      assert.ok(agent.stdout.includes(`http://live.test:${stage.port}`));
      assert.equal(await agent.stop(), 0);
    });

    it("exits 3 and says why when the name is not one of the node's", async () => {
      const [file] = [await stage.node("mine"), await stage.node("theirs")];
      await stage.tunnel("theirs", "theirs");
      for (
        const [name, message] of [
          ["undeclared", /The node mine opens tunnels that are declared for it, and undeclared is not/],
          ["theirs", /The tunnel theirs is not declared for the node mine/],
        ] as const
      ) {
        const flags = as(file, "--name", name, "--json");
        const { exitCode, events } = await toEnd(stage.agent(3000, ...flags));
        assert.equal(exitCode, 3);
        assert.deepEqual(events.map(({ event }) => event), ["error", "exit"]);
        assert.equal(events[0].code, "name_not_allowed");
        assert.match(String(events[0].message), message);
        assert.match(String(events[0].remedy), /--name .*edge tunnel list/);
        assert.deepEqual(events[1].code, 3);
      }
    });

    it("exits 3 and asks for a name when none is given", async () => {
      const file = await stage.node("unnamed");
      const { exitCode, stderr } = await toEnd(stage.agent(3000, ...as(file)));
      assert.equal(exitCode, 3);
      assert.match(stderr, /^error: The token opens no tunnel of a random name\nName one .* --name: edge tunnel list/);
    });

    it("exits 3 when its node is removed, and says that the token was refused", async () => {
      const file = await stage.node("removed");
      await stage.tunnel("removed", "removed");
      const agent = stage.agent(3000, ...as(file, "--name", "removed", "--json"));
      await agent.event("ready");
      await stage.command("node", "remove", "removed");
      assert.equal(await agent.exitCode, 3);
      const names = agent.events.map(({ event }) => event);
      assert.deepEqual(names, ["ready", "disconnected", "reconnecting", "error", "exit"]);
      assert.match(String(agent.events[1].reason), /token was removed or replaced/);
      assert.equal(agent.events[3].code, "unauthorized");
      assert.match(String(agent.events[3].remedy), /edge node rotate/);
    });

    it("exits 3 when its tunnel is removed", async () => {
      const file = await stage.node("closed");
      await stage.tunnel("closed", "closed");
      const agent = stage.agent(3000, ...as(file, "--name", "closed", "--json"));
      await agent.event("ready");
      await stage.command("tunnel", "remove", "closed");
      assert.equal(await agent.exitCode, 3);
      assert.equal(agent.events.at(-2)?.code, "name_not_allowed");
    });

    it("goes on with the token that stands in its file when the old one has ended", async () => {
      const file = await stage.node("rotated");
      await stage.tunnel("rotated", "rotated");
      const agent = stage.agent(upstream.port, ...as(file, "--name", "rotated", "--json"));
      await agent.event("ready");
      const { token } = await stage.command("node", "rotate", "rotated");
      // Before it can be back: the edge lets a refused token wait for a second.
      await stage.keep("rotated", token);
      const readies = () => agent.events.filter(({ event }) => event === "ready");
      await agent.waitFor(() => readies().length === 2);
      assert.equal(agent.events.some(({ event }) => event === "error"), false);
      assert.match(await get(stage.visitor("rotated.localhost")), /\r\n\r\nhello$/);
      assert.equal(await agent.stop(), 0);
    });

    it("opens its tunnel anew while the old token is still valid, and loses no request", async () => {
      let answerLate!: () => void;
      const late = new Promise<void>((resolve) => answerLate = resolve);
      const service = await ScriptedServer.start(async (peer) => {
        for (;;) {
          const head = await peer.readHead();
          if (head.startsWith("GET /late")) await late;
          await peer.send(HELLO);
        }
      });
      const file = await stage.node("grace");
      await stage.tunnel("grace", "grace");
      const agent = stage.agent(service.port, ...as(file, "--name", "grace", "--json"));
      await agent.event("ready");
      const visitor = stage.visitor("grace.localhost");
      const waiting = await send(visitor, getRequest(visitor, "/late"));
      await eventually(() => service.open > 0);
      const { token } = await stage.command("node", "rotate", "grace", "--grace", "1h");
      await stage.keep("grace", token);
      const readies = () => agent.events.filter(({ event }) => event === "ready").length;
      const visitOn = async () => {
        for (let left = 20; left > 0;) {
          assert.match(await get(visitor), /^HTTP\/1\.1 200 /);
          if (readies() === 2) left--;
        }
      };
      await Promise.all(Array.from({ length: 8 }, visitOn));
      assert.equal(agent.events.some(({ event }) => event === "disconnected"), false);
      answerLate();
      assert.match(await waiting.readUntil("hello"), /^HTTP\/1\.1 200 /);
      waiting.socket.end();

      // Nothing is left on the old token: its end ends no session.
      const { tokens } = await stage.command("token", "list") as { tokens: { id: string; node: string }[] };
      const newId = String(token).split("_")[2];
      const old = tokens.find(({ id, node }) => node === "grace" && id !== newId)!;
      await stage.command("token", "remove", old.id);
      for (let count = 0; count < 10; count++) assert.match(await get(visitor), /^HTTP\/1\.1 200 /);
      assert.equal(agent.events.some(({ event }) => event === "disconnected"), false);
      assert.equal(await agent.stop(), 0);
      await service.close();
    });

    it("keeps its session when another text than a valid token comes into the file", async () => {
      const file = await stage.node("garbled");
      await stage.tunnel("garbled", "garbled");
      const agent = new ProgramRun(
        agentProgram,
        ["http", String(upstream.port), "--edge", stage.url, ...as(file, "--name", "garbled", "--json")],
        { environment: { RUNNEL_LOG_LEVEL: "warn" } },
      );
      await agent.event("ready");
      await stage.keep("garbled", "no-token-of-this-edge");
      await agent.waitFor(() => agent.stderr.includes("The new token cannot be used yet"));
      assert.match(await get(stage.visitor("garbled.localhost")), /\r\n\r\nhello$/);
      assert.deepEqual(agent.events.map(({ event }) => event).filter((name) => name !== "request"), ["ready"]);
      assert.doesNotMatch(agent.stderr, /no-token-of-this-edge/);
      assert.equal(await agent.stop(), 0);
    });

    it("is refused by name when the tunnel requires what it does not have", async () => {
      const file = await stage.node("able");
      const tunnels = [["able", ["http", "host-header"]], ["unable", ["http", "upgrade", "time-travel"]]] as const;
      for (const [name, requires] of tunnels) {
        const answer = await fetch(`${stage.admin}/api/v1/tunnels`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${readFileSync(join(folder, "admin-token"), "utf8").trim()}`,
            "content-type": "application/json",
          },
          body: JSON.stringify({ name, nodes: ["able"], upstream: "3000", requires }),
        });
        assert.equal(answer.status, 201, await answer.text());
      }
      const agent = stage.agent(upstream.port, ...as(file, "--name", "able", "--json"));
      await agent.event("ready");
      assert.equal(await agent.stop(), 0);
      const { exitCode, events } = await toEnd(stage.agent(3000, ...as(file, "--name", "unable", "--json")));
      assert.equal(exitCode, 1);
      assert.equal(events[0].code, "refused");
      const lacks = protocol === "v2" ? "time-travel" : "upgrade, time-travel";
      assert.equal(events[0].message, `The tunnel unable requires ${lacks}, which this agent does not have`);
      assert.match(String(events[0].remedy), /^Update the agent/);
    });
  });

  describe(`the token file of an agent whose first token is refused, over ${protocol}`, () => {
    it("is read again before it exits 3, and another token is tried at once", () =>
      withScratch(async (folder) => {
        const file = join(folder, "token");
        writeFileSync(file, "the-old-token");
        const shown: string[] = [];
        const owner = {
          id: "node:n",
          tokenId: "t",
          node: "n",
          refusalOf: () => null,
          isValid: () => true,
          ownerOf: () => "node:n",
        };
        const edge = await startTestEdge({
          version,
          checkToken: (token) => {
            shown.push(token);
            // It is replaced after the agent has read it, and before the edge answers.
            writeFileSync(file, "the-new-token");
            return token === "the-new-token" ? owner : null;
          },
        });
        const url = `http://127.0.0.1:${edge.address.port}`;
        const flags = ["--token-file", file, "--protocol", protocol, "--name", "shop", "--json"];
        const agent = new ProgramRun(agentProgram, ["http", "3000", "--edge", url, ...flags]);
        await agent.event("ready");
        assert.deepEqual(shown, ["the-old-token", "the-new-token"]);
        assert.deepEqual(agent.events.map(({ event }) => event), ["ready"]);
        assert.equal(await agent.stop(), 0);
        await edge.close();
      }));
  });
}

/** For a program that ends by itself. */
async function toEnd(run: ProgramRun): Promise<{ exitCode: number; stderr: string; events: ProgramRun["events"] }> {
  const exitCode = await run.exitCode;
  return { exitCode, stderr: run.stderr, events: run.events };
}

describe("agent http --allow-upstream", () => {
  it("answers 502 upstream_not_allowed where the target's name leads elsewhere, and exits 2 where it never can fit", async () => {
    const upstream = await ScriptedServer.answering(HELLO);
    const edge = await startTestEdge({ version });
    const url = `http://127.0.0.1:${edge.address.port}`;
    const access = ["--edge", url, "--token", "test-token", "--name", "listed", "--json"];
    const target = { kind: "tcp", host: "127.0.0.1", port: edge.address.port } as const;
    const visitor = { host: "listed.localhost", connect: async () => new SocketReader(await dial(target)) };
    // The system's resolver takes 127.1 for a name of 127.0.0.1.
    const visits = [["10.0.0.0/8:*", 502], [`10.0.0.0/8:*,127.0.0.0/8:${upstream.port}`, 200]] as const;
    for (const [list, status] of visits) {
      const environment = { RUNNEL_ALLOW_UPSTREAM: list };
      const agent = new ProgramRun(agentProgram, ["http", `127.1:${upstream.port}`, ...access], { environment });
      await agent.event("ready");
      assert.match(await get(visitor), new RegExp(`^HTTP/1\\.1 ${status} `));
      const request = await agent.event("request");
      assert.equal(request.code, status === 502 ? "upstream_not_allowed" : undefined);
      if (status === 502) assert.match(String(request.reason), /: 127\.0\.0\.1 is not allowed; .*--allow-upstream/);
      assert.equal(await agent.stop(), 0);
    }

    for (
      const [word, list, message, remedy] of [
        ["3000", "10.0.0.0/8:*", /The target "3000" is not among those of --allow-upstream/, /HOST:PORT/],
        ["10.0.0.1:80", "127.0.0.1:*", /not among those/, /--allow-upstream HOST:PORT/],
        ["unix:/run/app.sock", "127.0.0.1:*", /not among those/, /permits no unix sockets/],
        ["3000", "3000", /--allow-upstream "3000" is none of HOST:PORT/, /./],
      ] as const
    ) {
      const words = ["http", word, ...access, "--allow-upstream", list];
      const { exitCode, events } = await runToEnd(agentProgram, words);
      assert.equal(exitCode, 2);
      assert.match(String(events[0].message), message);
      assert.match(String(events[0].remedy), remedy);
    }
    await edge.close();
    await upstream.close();
  });
});
