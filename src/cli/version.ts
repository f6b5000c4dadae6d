/** What `--version` prints: `edge 1.0.0 (COMMIT, bun 1.4.5, linux-x64)`. */
import { version } from "../config/mod.ts";
import { platformName, runtimeName, runtimeVersion } from "../net/mod.ts";
import { commit } from "./commit.ts";

export function versionLine(program: string): string {
  return `${program} ${version} (${commit()}, ${runtimeName} ${runtimeVersion}, ${platformName})`;
}
