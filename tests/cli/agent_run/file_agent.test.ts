import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TunnelConfig, TunnelKeeper } from "../../../src/agent/mod.ts";
import type { AgentFile } from "../../../src/cli/agent_run/config_file.ts";
import { FileAgent } from "../../../src/cli/agent_run/file_agent.ts";
import { UsageError } from "../../../src/config/mod.ts";
import { FakeClock } from "../../support/clock.ts";

function fileOf(...names: string[]): AgentFile {
  const tunnels = names.map((name): TunnelConfig => ({ name, kind: "http", upstream: "1", hostnames: [] }));
  return { edge: undefined, tokenFile: undefined, tunnels, located: (error) => error };
}

describe("FileAgent", () => {
  it("counts what was read last when two readings end in another order than they began", async () => {
    const applied: string[] = [];
    const stopped = Promise.withResolvers<void>();
    const keeper = {
      start: () => {},
      run: () => stopped.promise,
      close: () => stopped.resolve(),
      apply: (tunnels: readonly TunnelConfig[]) => {
        applied.push(tunnels.map(({ name }) => name).join());
        return Promise.resolve();
      },
    } as unknown as TunnelKeeper;
    const readings: PromiseWithResolvers<AgentFile>[] = [];
    const told: [number, string | null][] = [];
    const agent = new FileAgent({
      keeper,
      first: fileOf("a"),
      read: () => {
        const reading = Promise.withResolvers<AgentFile>();
        readings.push(reading);
        return reading.promise;
      },
      onConfig: (...args) => void told.push(args),
      clock: new FakeClock(),
    });
    const run = agent.run();
    const reloads = [agent.reload(), agent.reload(), agent.reload(), agent.reload()];
    readings[3]!.resolve(fileOf("d"));
    readings[1]!.resolve(fileOf("b"));
    readings[2]!.reject(new UsageError("half written"));
    readings[0]!.resolve(fileOf("a", "b"));
    await Promise.all(reloads);
    agent.close();
    await run;
    assert.deepEqual(applied, ["a", "d"]);
    assert.deepEqual(told.map(([version]) => version), [1, 5]);
  });
});
