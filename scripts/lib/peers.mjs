// @ts-check
/** The foreign programs that tests talk to, as Debian names program and package. The one list of them. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const peers = [
  { program: "curl", package: "curl" },
  { program: "nginx", package: "nginx" },
];

/**
 * True where `program` can be started: on PATH, or among the servers of the system.
 * @param {string} program
 */
export function isOnPath(program) {
  // Debian keeps servers in /usr/sbin, which is not on everyone's PATH.
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs those that are missing, where this is root on a system with apt-get; else says that it cannot. */
export function installPeers() {
  const missing = peers.filter(({ program }) => !isOnPath(program));
  if (missing.length === 0) return;
  const names = missing.map((peer) => peer.package);
  if (process.getuid?.() !== 0 || !isOnPath("apt-get")) {
    console.log(`     ${names.join(", ")} cannot be installed: that takes apt-get and root`);
    return;
  }
  console.log(`     installing ${names.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", ...names]]) {
    const { status, stdout, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8" });
    if (status !== 0) console.log(`     apt-get ${args[0]} failed:\n${stdout ?? ""}${stderr ?? ""}`);
  }
}
