import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentSettingsPath, defaultDataFolder, type Place } from "../../src/config/places.ts";

function place(platform: string, variables: Record<string, string> = {}, isRoot = false): Place {
  const home = platform === "win32" ? "D:\\me" : "/me";
  return { platform, home, isRoot, environment: (name) => variables[name] };
}

describe("agentSettingsPath", () => {
  const cases: readonly [Place, string][] = [
    [place("linux"), "/me/.config/runnel/agent.yaml"],
    [place("linux", { XDG_CONFIG_HOME: "/conf" }), "/conf/runnel/agent.yaml"],
    [place("linux", { XDG_CONFIG_HOME: "relative" }), "/me/.config/runnel/agent.yaml"],
    [place("linux", { XDG_CONFIG_HOME: "" }), "/me/.config/runnel/agent.yaml"],
    [place("darwin", { XDG_CONFIG_HOME: "/conf" }), "/me/Library/Application Support/runnel/agent.yaml"],
    [place("win32", { APPDATA: "D:\\me\\Roaming" }), "D:\\me\\Roaming\\runnel\\agent.yaml"],
    [place("win32"), "D:\\me\\AppData\\Roaming\\runnel\\agent.yaml"],
  ];
  for (const [at, path] of cases) {
    it(`is ${path} when the system is ${at.platform}`, () => assert.equal(agentSettingsPath(at), path));
  }
});

describe("defaultDataFolder", () => {
  const cases: readonly [string, Place, string][] = [
    ["systemd names a folder", place("linux", { STATE_DIRECTORY: "/var/lib/edge" }, true), "/var/lib/edge"],
    ["systemd names two", place("linux", { STATE_DIRECTORY: "/a:/b" }), "/a"],
    ["root runs it", place("linux", {}, true), "/var/lib/runnel"],
    ["a person runs it", place("linux"), "/me/.local/share/runnel"],
    ["a person says where", place("linux", { XDG_DATA_HOME: "/data" }), "/data/runnel"],
    ["it is macOS", place("darwin"), "/me/Library/Application Support/runnel"],
    ["it is Windows", place("win32", { LOCALAPPDATA: "D:\\me\\Local" }), "D:\\me\\Local\\runnel"],
  ];
  for (const [name, at, path] of cases) {
    it(`is ${path} when ${name}`, () => assert.equal(defaultDataFolder(at), path));
  }
});
