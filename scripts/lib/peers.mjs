// @ts-check
/** The foreign programs that tests talk to, as Debian names program and package. The one list of them. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { nodePeerFolder, nodePeerPackage, nodeProgram } from "./toolchain.mjs";

const peers = [
  { program: "caddy", package: "caddy" },
  { program: "curl", package: "curl" },
  { program: "dash", package: "dash" },
  { program: "go", package: "golang-go" },
  { program: "gunicorn", package: "gunicorn" },
  { program: "javac", package: "default-jdk-headless" },
  { program: "nginx", package: "nginx" },
  { program: "php", package: "php-cli" },
  { program: "python3", package: "python3" },
  { program: "uvicorn", package: "uvicorn" },
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

/** The package that holds the program itself: the one called `node` only fetches it, by an npm inside of npm. */
const nodePackage = `${nodePeerPackage}@22.23.3`;
const nodeInstallMs = 180_000;

/** Installs a Node that runs the npm package, where there is none: setup.sh is content with an older one. */
function installNode() {
  if (nodeProgram() !== null) return;
  console.log(`     installing ${nodePackage} from npm`);
  const flags = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  const args = ["install", "--prefix", nodePeerFolder, ...flags, nodePackage];
  const { status, stdout, stderr } = spawnSync("npm", args, { encoding: "utf8", timeout: nodeInstallMs });
  if (status !== 0) console.log(`     npm install ${nodePackage} failed:\n${stdout ?? ""}${stderr ?? ""}`);
}

const goBuildMs = 180_000;

/** Has Go compile its HTTP library, which it keeps: the first time takes longer than a test may. */
function compileGoLibrary() {
  if (!isOnPath("go")) return;
  const { status, stderr } = spawnSync("go", ["build", "net/http"], { encoding: "utf8", timeout: goBuildMs });
  if (status !== 0) console.log(`     go build net/http failed:\n${stderr ?? ""}`);
}

/**
 * Installs those that are missing, where this is root on a system with apt-get (else says that it cannot), and a Node
 * from npm.
 */
export function installPeers() {
  installNode();
  installPackages();
  compileGoLibrary();
}

function installPackages() {
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
