// @ts-check
/** What scripts/bench/tls.mjs compares: TLS of our own, and the same without it behind an nginx that ends TLS. */
import { once } from "node:events";
import { join } from "node:path";
import { programOf, root, runArguments } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { freePort, untilListening } from "./ports.mjs";
import { startRunnel } from "./runnel.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./nginx.mjs").NginxFarm} NginxFarm */
/**
 * `programs` stand at the place of the server, the first one of them Runnel's own; `agent` is behind them.
 * @typedef {{ port: number, host: string, programs: Child[], agent: Child | null }} Side
 */
/** @typedef {{ sides: [Side, Side], stop(): Promise<void> }} Sides */

const certificates = join(root, "tests/support/certificates");
const files = { chain: join(certificates, "server.pem"), key: join(certificates, "server.key") };
const authority = join(certificates, "authority.pem");

/** @param {Runtime} runtime @param {string[]} args @returns {Promise<{ child: Child, port: number }>} */
async function startServer(runtime, args) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  const file = join(root, "scripts/bench/tls_server.ts");
  const name = `server ${args.length > 0 ? "with" : "without"} TLS (${runtime})`;
  const child = new Child(name, program, runArguments(runtime, file, args), { stdout: "pipe" });
  const [told] = await Promise.race([once(child.stdout, "data"), child.lost]);
  return { child, port: Number(String(told)) };
}

/** Two servers of HTTP, without a tunnel. @param {Runtime} runtime @param {NginxFarm} farm @returns {Promise<Sides>} */
export async function startServers(runtime, farm) {
  const secure = await startServer(runtime, [files.chain, files.key]);
  const plain = await startServer(runtime, []);
  const proxy = await farm.startTls("tls", plain.port, files.chain, files.key);
  return {
    sides: [
      { port: secure.port, host: "localhost", programs: [secure.child], agent: null },
      { port: proxy.port, host: "localhost", programs: [plain.child, proxy.child], agent: null },
    ],
    async stop() {
      await secure.child.stop();
      await plain.child.stop();
    },
  };
}

/**
 * Two edges with an agent each, in front of one origin.
 * @param {{ edge: Runtime, agent: Runtime, areAgentsSecure: boolean }} options whether agents dial as visitors do: by
 *   TLS, on the second side through nginx. Else they dial a listener without TLS.
 * @param {NginxFarm} farm @returns {Promise<Sides>}
 */
export async function startEdges({ edge, agent, areAgentsSecure }, farm) {
  const origin = await farm.startOrigin();
  const common = { edge, agent, protocol: "v2", originPort: origin.port };
  /** @param {number} port @returns {string[]} */
  const secureAgent = (port) => ["--edge", `https://localhost:${port}`, "--edge-ca", authority];
  const securePort = await freePort();
  const secure = await startRunnel({
    ...common,
    edgeArguments: [
      ...["--listen", `https://127.0.0.1:${securePort}`, "--tls-cert", files.chain, "--tls-key", files.key],
      // All connections come from one address, and more often than visitors' do.
      ...["--handshake-rate", "off", "--address-handshake-rate", "off"],
    ],
    agentArguments: areAgentsSecure ? () => secureAgent(securePort) : undefined,
  });
  /** @type {Awaited<ReturnType<NginxFarm["startTls"]>> | null} */
  let proxy = null;
  /** @param {number} port */
  const startProxy = async (port) => {
    await untilListening(port);
    return proxy = await farm.startTls("tls", port, files.chain, files.key);
  };
  const plain = await startRunnel({
    ...common,
    edgeArguments: ["--trust-proxy", "loopback"],
    agentArguments: areAgentsSecure ? async (port) => secureAgent((await startProxy(port)).port) : undefined,
  });
  const { child, port } = proxy ?? await startProxy(plain.port);
  return {
    sides: [
      { port: securePort, host: secure.host, programs: [secure.edge], agent: secure.agent },
      { port, host: plain.host, programs: [plain.edge, child], agent: plain.agent },
    ],
    async stop() {
      await secure.stop();
      await plain.stop();
    },
  };
}
