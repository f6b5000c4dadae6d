/** `agent run` as a program: an edge's config, a file, its events, its exit codes, its data folder. */
import assert from "node:assert/strict";
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { agentProgram } from "../../../src/cli/agent.ts";
import { ConfigEdge, configTunnel, problem } from "../../support/config_edge.ts";
import { eventually } from "../../support/net.ts";
import { assertProblem, get, getRequest, send } from "../../support/public_client.ts";
import { withScratch } from "../../support/scratch.ts";
import { token } from "../../support/tunnel.ts";
import { ProgramRun, runToEnd } from "../program_run.ts";
import { withUpstream } from "../operated_edge.ts";

describe("agent run", () => {
  let stage: ConfigEdge;
  const runs: ProgramRun[] = [];
  beforeEach(async () => void (stage = await ConfigEdge.start({ version: "0.1.0" })));
  afterEach(async () => {
    for (const run of runs.splice(0)) {
      run.signal("SIGINT");
      await run.stop();
    }
    await stage.close();
  });

  function start(args: readonly string[], environment: Record<string, string> = {}): ProgramRun {
    const run = new ProgramRun(agentProgram, ["run", "--json", ...args], { environment });
    runs.push(run);
    return run;
  }
  const managed = (folder: string, ...args: string[]) =>
    start(["--edge", stage.url, "--token", token, "--data", folder, ...args]);
  const visit = (name: string) => get(stage.visitor(name));
  const namesOf = (run: ProgramRun) => run.events.map(({ event }) => event);

  it("prints ready for each tunnel, then config, and ends with 0", () =>
    withScratch((folder) =>
      withUpstream(async ({ port }) => {
        stage.tunnels = [configTunnel("a", port), configTunnel("b", port)];
        const run = managed(folder);
        const config = await run.event("config");
        assert.deepEqual([config.version, config.ok, "error" in config], [1, true, false]);
        assert.deepEqual(namesOf(run), ["ready", "ready", "config"]);
        const ready = run.events.find(({ name }) => name === "b")!;
        const url = stage.edge.urlOf("b");
        const upstream = `http://localhost:${port}`;
        const { event: _, time: __, ...facts } = ready;
        assert.deepEqual(facts, { url, urls: [url], name: "b", tunnelId: "b", upstream, protocol: "v2" });
        assert.match(await visit("b"), /hello$/);
        const request = await run.event("request");
        assert.deepEqual([request.tunnel, request.status, request.path], ["b", 200, "/"]);
        assert.equal(await run.stop(), 0);
        assert.deepEqual([run.events.at(-1)!.event, run.events.at(-1)!.from], ["exit", "signal"]);
        assert.equal(run.subscriptions, 0);
      })
    ));

  it("tells of a config that cannot be served, and of the next one", () =>
    withScratch((folder) =>
      withUpstream(async ({ port }) => {
        stage.tunnels = [configTunnel("a", "10.0.0.1:80")];
        const run = managed(folder);
        const failed = await run.event("config");
        assert.deepEqual([failed.version, failed.ok], [1, false]);
        assert.match(String(failed.error), /--allow-upstream/);
        await eventually(() => stage.streams.size === 1);
        stage.change([configTunnel("a", port)]);
        await run.waitFor(() => run.events.some(({ event, ok }) => event === "config" && ok === true));
        assert.match(await visit("a"), /hello$/);
      })
    ));

  it("keeps its instance and its last good config, for its owner alone, and serves that while the config is away", () =>
    withScratch((folder) =>
      withUpstream(async ({ port }) => {
        stage.tunnels = [configTunnel("a", port, { timeouts: { firstByte: "5s" }, compress: false })];
        const first = managed(folder);
        await first.event("config");
        const { instance } = await stage.acknowledged();
        assert.match(instance!, /^[0-9a-f]{12}$/);
        assert.equal(await first.stop(), 0);
        assert.deepEqual((await readdir(folder)).sort(), ["agent-config.json", "agent-instance"]);
        for (const name of await readdir(folder)) {
          assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
        }
        assert.equal((await readFile(join(folder, "agent-config.json"), "utf8")).includes(token), false);

        stage.route = (request, response) => {
          if (request.url!.startsWith("/agent")) return false;
          problem(response, 503, "store_unavailable");
          return true;
        };
        const second = managed(folder);
        await second.event("ready");
        assert.match(await visit("a"), /hello$/);
        assert.equal(stage.edge.tunnels.get("a")?.timeouts?.firstByteMs, 5_000);
        stage.route = () => false;
        stage.version = 2;
        assert.equal((await stage.acknowledged(2)).instance, instance);
      })
    ));

  it("begins without what it kept where that is for another edge, or was damaged", () =>
    withScratch(async (folder) => {
      const path = join(folder, "agent-config.json");
      for (const text of ["{", '{"edge":"http://other","version":1,"checksum":"","tunnels":[]}', '{"tunnels":3}']) {
        await writeFile(path, text);
        await writeFile(join(folder, "agent-instance"), "no instance!");
        const run = managed(folder);
        await run.event("config");
        assert.equal(await run.stop(), 0);
        assert.equal(JSON.parse(await readFile(path, "utf8")).edge, stage.url);
        assert.match(await readFile(join(folder, "agent-instance"), "utf8"), /^[0-9a-f]{12}\n$/);
      }
    }));

  it("goes on where its data folder cannot be used", () =>
    withScratch((folder) =>
      withUpstream(async ({ port }) => {
        const file = join(folder, "file");
        await writeFile(file, "");
        stage.tunnels = [configTunnel("a", port)];
        const run = start(["--edge", stage.url, "--token", token, "--data", join(file, "below")]);
        await run.event("config");
        assert.match(await visit("a"), /hello$/);
      })
    ));

  it("waits for ever for a token that is right, and reads its file again", () =>
    withScratch((folder) =>
      withUpstream(async ({ port }) => {
        stage.tunnels = [configTunnel("a", port)];
        const file = join(folder, "token");
        await writeFile(file, "wrong\n");
        const run = start(["--edge", stage.url, "--token-file", file, "--data", folder]);
        await eventually(() => stage.edge.figures.refusals.tokens > 0);
        await writeFile(file, `${token}\n`);
        await run.event("config");
        assert.match(await visit("a"), /hello$/);
        assert.equal(namesOf(run).includes("error"), false);
      })
    ));

  it("takes another token from its file without a lost request", () =>
    withScratch((folder) =>
      withUpstream(async ({ port, answerLate }) => {
        stage.tunnels = [configTunnel("a", port), configTunnel("b", port)];
        const file = join(folder, "token");
        await writeFile(file, `${token}\n`);
        const edge = await ConfigEdge.start({
          version: "0.1.0",
          checkToken: (given) =>
            given !== "second" ? null : {
              id: "token",
              tokenId: "2",
              node: null,
              isValid: () => true,
              ownerOf: () => "token",
              refusalOf: () => null,
            },
        });
        edge.tunnels = stage.tunnels;
        const run = start(["--edge", edge.url, "--token-file", file, "--data", folder]);
        await run.event("config");
        const visitor = edge.visitor("a");
        const late = await send(visitor, getRequest(visitor, "/late"));
        await eventually(() => edge.edge.active === 1);
        edge.route = (request) => {
          // Whichever of the two tokens is shown.
          edge.token = String(request.headers.authorization).replace("Bearer ", "");
          return false;
        };
        const readies = () => run.events.filter(({ event }) => event === "ready").length;
        const visits = Array.from({ length: 4 }, async () => {
          while (readies() < 4) assert.match(await get(edge.visitor("b")), /^HTTP\/1\.1 200 /);
        });
        await writeFile(file, "second\n");
        await Promise.all(visits);
        await eventually(() => edge.opened.some(({ authorization }) => authorization === "Bearer second"));
        assert.equal(namesOf(run).includes("disconnected"), false);
        answerLate();
        assert.match(await late.readUntil("hello"), /^HTTP\/1\.1 200 /);
        late.socket.reset();
        run.signal("SIGINT");
        await run.stop();
        await edge.close();
      })
    ));

  for (const action of ["drain", "shutdown"]) {
    it(`ends with 0 when the edge says ${action}`, () =>
      withScratch(async (folder) => {
        const run = managed(folder);
        await run.event("config");
        await eventually(() => stage.streams.size === 1);
        stage.send("action", { action, expiresAt: new Date(Date.now() + 600_000).toISOString() });
        assert.equal(await run.exitCode, 0);
        assert.equal(run.events.at(-1)!.from, "edge");
      }));
  }

  it("asks for its config at once at SIGHUP", () =>
    withScratch(async (folder) => {
      const run = managed(folder);
      await stage.acknowledged();
      stage.version = 5;
      run.signal("SIGHUP");
      await stage.acknowledged(5);
    }));

  describe("--config", () => {
    const write = (path: string, text: string) => writeFile(path, text);

    it("serves the tunnels of a file, with its edge and its token, and needs neither config nor data folder", () =>
      withScratch((folder) =>
        withUpstream(async ({ port }) => {
          await write(join(folder, "token"), `${token}\n`);
          const file = join(folder, "tunnels.yaml");
          const tunnels = `a: { upstream: ${port} }\n  b: { upstream: "http://127.0.0.1:\${PORT}" }`;
          await write(file, `version: 1\nedge: ${stage.url}\ntokenFile: token\ntunnels:\n  ${tunnels}\n`);
          const run = start(["--config", file], { PORT: String(port) });
          const config = await run.event("config");
          assert.deepEqual([config.version, config.ok], [1, true]);
          for (const name of ["a", "b"]) assert.match(await visit(name), /hello$/);
          assert.deepEqual([stage.polls.length, stage.acks.length], [0, 0]);
          assert.equal(await run.stop(), 0);
          assert.equal(run.subscriptions, 0);
        })
      ));

    for (const how of ["at SIGHUP", "when it changes"]) {
      it(`reads the file again ${how}, and keeps the last good one where it is wrong`, () =>
        withScratch((folder) =>
          withUpstream(async ({ port }) => {
            const file = join(folder, "tunnels.yaml");
            const again = async (run: ProgramRun, text: string) => {
              const count = run.events.filter(({ event }) => event === "config").length;
              await write(`${file}.new`, text);
              await rename(`${file}.new`, file);
              if (how === "at SIGHUP") run.signal("SIGHUP");
              const configs = () => run.events.filter(({ event }) => event === "config");
              return await run.waitFor(() => configs()[count]);
            };
            await write(file, `tunnels: { a: { upstream: "${port}" }, b: { upstream: "${port}" } }`);
            const run = start(["--config", file, "--edge", stage.url, "--token", token]);
            await run.event("config");
            const wrong = await again(run, `tunnels: { a: { upsteam: "${port}" } }`);
            assert.equal(wrong.ok, false);
            assert.match(String(wrong.error), /:1:17: unknown key "upsteam" in tunnels\.a; did you mean upstream\?/);
            for (const name of ["a", "b"]) assert.match(await visit(name), /hello$/);
            const served = await again(run, `tunnels: { b: { upstream: "${port}" }, c: { upstream: "${port}" } }`);
            assert.deepEqual([served.ok, "error" in served], [true, false]);
            assert.match(await visit("c"), /hello$/);
            assertProblem(await visit("a"), 503, "tunnel_offline");
            const moved = await again(run, `edge: http://127.0.0.1:1\ntunnels: {}`);
            assert.match(String(moved.error), /cannot change while the agent runs/);
          })
        ));
    }

    it("goes on when the file has become what YAML has no value for", () =>
      withScratch((folder) =>
        withUpstream(async ({ port }) => {
          const file = join(folder, "tunnels.yaml");
          await write(file, `tunnels: { a: { upstream: ${port} } }`);
          const run = start(["--config", file, "--edge", stage.url, "--token", token]);
          await run.event("config");
          await write(file, "tunnels: { a: { <<: 5 } }");
          run.signal("SIGHUP");
          const wrong = await run.waitFor(() => run.events.filter(({ event }) => event === "config")[1]);
          assert.match(String(wrong.error), /:1:21: << takes maps alone/);
          assert.match(await visit("a"), /hello$/);
        })
      ));

    for (
      const [what, text, message] of [
        ["an unknown key", "tunels: {}", /f\.yaml:1:1: unknown key "tunels"; did you mean tunnels\?/],
        ["a node", "tunnels:\n  a: { node: x, upstream: '1' }", /f\.yaml:2:8: unknown key "node" in tunnels\.a/],
        ["an upstream that cannot be read", "tunnels:\n  a: { upstream: http://x/y }", /f\.yaml:2:18: .*none of PORT/],
        ["tcp", "tunnels:\n  a: { kind: tcp, upstream: '1' }", /f\.yaml:2:14: .*of the kind tcp/],
        ["a wrong name", "tunnels:\n  A_b: { upstream: '1' }", /f\.yaml:2:3: the name "A_b"/],
        ["an unset variable", "tunnels:\n  a: { upstream: '${NOPE}' }", /f\.yaml:2:18: the variable NOPE is not set/],
        ["what is not permitted", "tunnels:\n  a: { upstream: '127.0.0.1:1' }", /f\.yaml:2:18: .*--allow-upstream/],
      ] as const
    ) {
      it(`exits 2 and names the place of ${what}`, () =>
        withScratch(async (folder) => {
          const file = join(folder, "f.yaml");
          await write(file, text);
          const args = ["run", "--config", file, "--edge", stage.url, "--token", token, "--json"];
          const allowed = ["--allow-upstream", "10.0.0.0/8:*"];
          const { exitCode, events } = await runToEnd(
            agentProgram,
            what === "what is not permitted" ? [...args, ...allowed] : args,
          );
          assert.equal(exitCode, 2);
          assert.deepEqual(events.map(({ event }) => event), ["error", "exit"]);
          assert.match(String(events[0]!.message), message);
        }));
    }

    it("exits 2 where the file cannot be read, and where no token is given", () =>
      withScratch(async (folder) => {
        const away = await runToEnd(agentProgram, ["run", "--config", join(folder, "no.yaml"), "--json"]);
        assert.equal(away.exitCode, 2);
        assert.match(String(away.events[0]!.message), /--config .*no\.yaml cannot be read/);
        const bare = await runToEnd(agentProgram, ["run", "--data", folder, "--json"]);
        assert.equal(bare.exitCode, 2);
        assert.match(String(bare.events[0]!.message), /token is missing/);
        assert.match(String(bare.events[0]!.remedy), /edge node add/);
      }));

    it("warns of a hostname that the edge does not serve for the tunnel", () =>
      withScratch((folder) =>
        withUpstream(async ({ port }) => {
          const file = join(folder, "f.yaml");
          await write(file, `tunnels: { a: { upstream: "${port}", hostnames: [shop.example.com] } }`);
          const run = start(["--config", file, "--edge", stage.url, "--token", token], { RUNNEL_LOG_LEVEL: "warn" });
          await run.waitFor(() => run.stderr.includes("The edge does not serve shop.example.com for the tunnel a"));
        })
      ));
  });
});
