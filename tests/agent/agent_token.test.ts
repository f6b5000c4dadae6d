import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AgentError, AgentToken, type OpenTunnel } from "../../src/agent/mod.ts";
import type { AgentErrorCode } from "../../src/agent/errors.ts";

const never = new AbortController().signal;
const tunnel = { url: "http://a" } as OpenTunnel;

/** An edge that takes `right`, and refuses all others with `code`. */
function edge(right: string, shown: string[], code: AgentErrorCode = "unauthorized") {
  return (token: string) => {
    shown.push(token);
    return token === right ? Promise.resolve(tunnel) : Promise.reject(new AgentError(code, "refused"));
  };
}

describe("AgentToken", () => {
  for (const code of ["unauthorized", "too_many_attempts", "name_not_allowed"] as const) {
    it(`is read again, and tried at once, when the edge answers ${code}`, async () => {
      const shown: string[] = [];
      const token = new AgentToken("old", () => Promise.resolve("new"));
      assert.equal(await token.opener(edge("new", shown, code))(never), tunnel);
      assert.deepEqual([shown, token.current, token.isRenewed], [["old", "new"], "new", false]);
    });

    it(`passes ${code} on when it is the same as before, or cannot be read`, async () => {
      for (const read of ["old", null]) {
        const shown: string[] = [];
        const token = new AgentToken("old", () => Promise.resolve(read));
        await assert.rejects(token.opener(edge("new", shown, code))(never), { code });
        assert.deepEqual(shown, ["old"]);
      }
    });
  }

  it("goes on while each reading gives another one, and ends with the first that comes again", async () => {
    const shown: string[] = [];
    const readings = ["second", "third", "third"];
    const token = new AgentToken("first", () => Promise.resolve(readings.shift()!));
    await assert.rejects(token.opener(edge("fourth", shown))(never), { code: "unauthorized" });
    assert.deepEqual(shown, ["first", "second", "third"]);
  });

  it("is not read again when there is another cause, or when the agent stops", async () => {
    const read = () => Promise.reject(new Error("read"));
    const opener = new AgentToken("old", read).opener(edge("new", [], "name_taken"));
    await assert.rejects(opener(never), { code: "name_taken" });
    const shown: string[] = [];
    const stopped = new AgentToken("old", () => Promise.resolve("new")).opener(edge("new", shown));
    await assert.rejects(stopped(AbortSignal.abort()), { code: "unauthorized" });
    assert.deepEqual(shown, ["old"]);
  });

  it("never changes when there is nothing to read", async () => {
    const token = new AgentToken("old");
    await token.refresh();
    assert.deepEqual([token.current, token.isRenewed], ["old", false]);
  });
});
