/** docs/limits.md: its scenarios are those that can be played, its tests are there, and its numbers are those of the code. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { scenarios } from "../../scripts/abuse/scenarios/mod.mjs";
import { visitorLimitOptions } from "../../src/config/visitor_limit_options.ts";
import { defaultLimits } from "../../src/http1/codec/limits.ts";
import { verifyServerOptions } from "../../src/http1/server/options.ts";
import { connectionLimits } from "../../src/httpstream/options.ts";
import { defaultBackpressureLimits } from "../../src/session/wsproto/backpressure.ts";
import { readPage, root } from "./page.ts";

const { text } = readPage("docs/limits.md");
const rows = text.split("\n").filter((line) => line.startsWith("| ")).map((line) => line.slice(2, -2).split(" | "));

describe("docs/limits.md", () => {
  it("lists every scenario of scripts/abuse.sh with its words", () => {
    const listed = rows.filter(([name, , ...more]) => more.length === 0 && /^`[a-z0-9-]+`$/.test(name!.trim()));
    const shown = listed.map(([name, what]) => `${name!.trim()} ${what!.trim()}`);
    assert.deepEqual(shown, scenarios.map(({ name, what }) => `\`${name}\` ${what}`));
  });

  it("names tests that are there", () => {
    const named = Array.from(text.matchAll(/`(tests\/[^`]+)`/g), ([, path]) => path as string);
    assert.ok(named.length > 20);
    assert.deepEqual(named.filter((path) => !existsSync(join(root, path))), []);
  });

  const kib = (bytes: number) => `${bytes / 1024} KiB`;
  const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
  const server = verifyServerOptions();
  const edge = connectionLimits("edge");
  const facts: readonly [limit: string, value: string][] = [
    ["request line", kib(defaultLimits.requestLineBytes)],
    ["request head", kib(defaultLimits.headBytes)],
    ["fields of a head, and of trailers", String(defaultLimits.fieldCount)],
    ["chunk extension", `${defaultLimits.chunkExtensionBytes} bytes`],
    ["trailers", kib(defaultLimits.trailerBytes)],
    ["requests read ahead on a connection", kib(server.pipelineBytes)],
    ["connections at once", server.maxConnections.toLocaleString("en-US")],
    ["bytes held by a connection", mib(edge.maxHeldBytes)],
    ["a new stream's window", kib(edge.initialWindowBytes)],
    ["a window that has grown", mib(edge.maxWindowBytes)],
    ["growth of a connection's windows", mib(edge.growthPoolBytes)],
    ["header bytes that wait on a connection", mib(edge.maxHeldHeaderBytes)],
    ["an answer that waits for its visitor", mib(defaultBackpressureLimits.bufferBytes)],
    ["all answers of a session that wait", mib(defaultBackpressureLimits.totalBytes)],
  ];
  it("says of each flag whose default is off that its limit is off", () => {
    const isOff = ({ default: text }: { default?: string }) => text === "off";
    const flags = Object.values(visitorLimitOptions).filter((option) => isOff(option)).map(({ name }) => `--${name}`);
    assert.ok(flags.length >= 10);
    for (const flag of flags) {
      const row = rows.find(([, , option = ""]) => option.includes(`\`${flag}\``));
      assert.equal(row?.[1]?.trim(), "off", flag);
    }
  });

  it("has the defaults of handshakes, which are twice as many at once", () => {
    const { handshakeRate, addressHandshakeRate } = visitorLimitOptions;
    for (const [limit, rate] of [["in all", handshakeRate], ["of one address", addressHandshakeRate]] as const) {
      const perSecond = Number(rate.default?.replace("/s", ""));
      const text = `${perSecond.toLocaleString("en-US")} a second, ${(2 * perSecond).toLocaleString("en-US")} at once`;
      assert.equal(rows.find(([name]) => name!.trim() === `TLS handshakes ${limit}`)?.[1]?.trim(), text);
    }
  });

  for (const [limit, value] of facts) {
    it(`says ${value} where ${limit} is meant`, () => {
      assert.equal(rows.find(([name]) => name!.trim() === limit)?.[1]?.trim(), value);
    });
  }
});
