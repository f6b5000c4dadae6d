/** The switches of both programs that together let NTLM come through. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, SocketReader } from "../support/net.ts";
import { ntlmHello, ntlmProof, ntlmServer } from "../support/ntlm_server.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const token = ["--token", "a-token-of-the-tests", "--json"];

describe("--upstream-connection-auth", () => {
  for (const isDirect of [true, false]) {
    it(`lets a visitor sign in by NTLM ${isDirect ? "with" : "only with"} --direct-visitors`, async () => {
      const upstream = await ScriptedServer.start(ntlmServer);
      const switches = isDirect ? ["--direct-visitors"] : [];
      const edge = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", ...switches, ...token]);
      const { listen } = await edge.event("ready");
      const agent = new ProgramRun(agentProgram, [
        ...["http", String(upstream.port), "--edge", `http://${listen}`, "--name", "shop"],
        ...["--upstream-connection-auth", ...token],
      ]);
      await agent.event("ready");
      const port = Number(String(listen).split(":")[1]);
      const visitor = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
      let answer = "";
      for (const credentials of [ntlmHello, ntlmProof("alice")]) {
        const fields = `Host: shop.localhost\r\nAuthorization: ${credentials}\r\n`;
        visitor.socket.write(bytesOf(`GET / HTTP/1.1\r\n${fields}\r\n`));
        answer = await visitor.readUntil(credentials === ntlmHello ? " as nobody" : " as ");
      }
      assert.match(answer, isDirect ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 401 /);
      visitor.socket.reset();
      assert.deepEqual([await agent.stop(), await edge.stop()], [0, 0]);
      await upstream.close();
    });
  }

  it("is refused with the JSON protocol, which names no visitors' connections", async () => {
    const args = ["http", "3000", "--protocol", "json", "--upstream-connection-auth", ...token];
    const { exitCode, events } = await runToEnd(agentProgram, args);
    assert.equal(exitCode, 2);
    assert.match(String(events[0].message), /--upstream-connection-auth/);
    assert.match(String(events[0].remedy), /--protocol json/);
  });
});
