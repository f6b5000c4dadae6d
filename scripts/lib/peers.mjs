// @ts-check
/** The foreign programs that tests talk to, as Debian names program and package. The one list of them. */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { nodePeerFolder, nodePeerPackage, nodeProgram, pythonPeerFolder } from "./toolchain.mjs";

const peers = [
  { program: "caddy", package: "caddy" },
  { program: "curl", package: "curl" },
  { program: "dash", package: "dash" },
  { program: "go", package: "golang-go" },
  { program: "gunicorn", package: "gunicorn" },
  { program: "haproxy", package: "haproxy" },
  { program: "javac", package: "default-jdk-headless" },
  { program: "nginx", package: "nginx" },
  { program: "openssl", package: "openssl" },
  { program: "pebble", package: "pebble" },
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

/** Peers from PyPI, each pinned exactly. They share a virtual environment of their own. */
const pythonPeers = ["prometheus-client==0.26.0", "schemathesis==4.32.5"];
const pythonInstallMs = 300_000;

/** Says which peers the virtual environment holds. It is written last, so that a broken installation is made anew. */
const pythonPeersFile = join(pythonPeerFolder, "peers");

/**
 * The path of a program from PyPI, such as `schemathesis`, or of `python`, which can import the packages; null where
 * `--install-peers` has not installed it.
 * @param {string} program
 */
export function pythonPeer(program) {
  const path = inPythonFolder(program);
  return existsSync(pythonPeersFile) && existsSync(path) ? path : null;
}

/** @param {string} program */
function inPythonFolder(program) {
  const parts = process.platform === "win32" ? ["Scripts", `${program}.exe`] : ["bin", program];
  return join(pythonPeerFolder, ...parts);
}

const outputLimitBytes = 16 * 1024 * 1024;

/**
 * Runs a command to its end, and shows what it printed where it fails.
 * @param {string} command @param {string[]} args @param {{ env?: NodeJS.ProcessEnv, timeout?: number }} options
 * @returns {Promise<boolean>} whether it succeeded
 */
function succeeds(command, args, options = {}) {
  return new Promise((resolve) => {
    execFile(command, args, { ...options, maxBuffer: outputLimitBytes }, (error, stdout, stderr) => {
      if (error === null) return resolve(true);
      // The message of an exit code would repeat what the command printed.
      const reason = error.killed ? "it took too long\n" : typeof error.code === "string" ? `${error.message}\n` : "";
      console.log(`     ${command} ${args.join(" ")} failed:\n${reason}${stdout}${stderr}`);
      resolve(false);
    });
  });
}

/** Installs the peers from PyPI into their virtual environment, where they are not there in these versions. */
async function installPythonPeers() {
  const wanted = pythonPeers.join(" ");
  if (existsSync(pythonPeersFile) && readFileSync(pythonPeersFile, "utf8") === wanted) return;
  console.log(`     installing ${wanted} from PyPI`);
  const quietly = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const steps = [
    ["python3", "-m", "venv", "--clear", pythonPeerFolder],
    [inPythonFolder("python"), ...quietly, ...pythonPeers],
  ];
  for (const [command, ...args] of steps) {
    if (!await succeeds(command, args, { timeout: pythonInstallMs })) return;
  }
  writeFileSync(pythonPeersFile, wanted);
}

/** The package that holds the program itself: the one called `node` only fetches it, by an npm inside of npm. */
const nodePackage = `${nodePeerPackage}@22.23.3`;
const nodeInstallMs = 180_000;

/** Installs a Node that runs the npm package, where there is none: setup.sh is content with an older one. */
async function installNode() {
  if (nodeProgram() !== null) return;
  console.log(`     installing ${nodePackage} from npm`);
  const flags = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  const args = ["install", "--prefix", nodePeerFolder, ...flags, nodePackage];
  await succeeds("npm", args, { timeout: nodeInstallMs });
}

const goBuildMs = 180_000;

/** Has Go compile its HTTP library, which it keeps: the first time takes longer than a test may. */
async function compileGoLibrary() {
  if (isOnPath("go")) await succeeds("go", ["build", "net/http"], { timeout: goBuildMs });
}

/**
 * Installs those that are missing, where this is root on a system with apt-get (else says that it cannot), a Node from
 * npm, and the peers from PyPI.
 */
export async function installPeers() {
  const installing = installNode();
  await installPackages();
  await Promise.all([installing, installPythonPeers(), compileGoLibrary()]);
}

/** Debian's Python makes no virtual environments without a package of its own, which has no program. */
async function needsVenv() {
  if (!isOnPath("apt-get")) return false;
  return await new Promise((resolve) => {
    execFile("python3", ["-c", "import ensurepip"], (error) => resolve(error !== null));
  });
}

async function installPackages() {
  const names = peers.filter(({ program }) => !isOnPath(program)).map((peer) => peer.package);
  if (await needsVenv()) names.push("python3-venv");
  if (names.length === 0) return;
  if (process.getuid?.() !== 0 || !isOnPath("apt-get")) {
    console.log(`     ${names.join(", ")} cannot be installed: that takes apt-get and root`);
    return;
  }
  console.log(`     installing ${names.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", ...names]]) {
    await succeeds("apt-get", args, { env });
  }
}
