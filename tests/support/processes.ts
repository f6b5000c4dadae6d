/**
 * A whole tunnel of real processes: `bin/edge.ts` and `bin/agent.ts`, on the runtimes that RUNNEL_EDGE_RUNTIME and
 * RUNNEL_AGENT_RUNTIME name (default: the one that runs the test). The upstream is in the process of the test.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { Program } from "../../scripts/lib/program.mjs";
import { dial } from "../../src/net/mod.ts";
import { listeningDescriptor, SocketReader } from "./net.ts";
import type { Protocol, Tunnel } from "./tunnel.ts";
import { runtimeName } from "../../src/net/current_runtime.ts";

type Runtime = "bun" | "deno";
export type Line = Record<string, unknown>;

export const edgeRuntime = (process.env.RUNNEL_EDGE_RUNTIME ?? runtimeName) as Runtime;
export const agentRuntime = (process.env.RUNNEL_AGENT_RUNTIME ?? runtimeName) as Runtime;

const token = "a-token-of-the-system-tests";

export interface EdgeProcess {
  readonly program: Program;
  readonly ready: Line;
  readonly port: number;
}

/** Resolves once it listens; port 0 is any free one. */
export function spawnEdge(port = 0, ...args: string[]): Promise<EdgeProcess> {
  return spawnLimitedEdge(null, port, ...args);
}

/** @param descriptors the most that it may have open; null: as many as this process */
export async function spawnLimitedEdge(
  descriptors: number | null,
  port = 0,
  ...args: string[]
): Promise<EdgeProcess> {
  const flags = ["serve", "--listen", `127.0.0.1:${port}`, "--token", token, "--json", ...args];
  const program = new Program("edge", edgeRuntime, "bin/edge.ts", flags, { descriptors });
  const ready = await program.next(isReady);
  return { program, ready, port: Number(String(ready.listen).split(":").at(-1)) };
}

/** @param blocks of 512 bytes: a file that would grow beyond cannot be written, as on a full disk */
export async function spawnFileLimitedEdge(blocks: number, port = 0, ...args: string[]): Promise<EdgeProcess> {
  const flags = ["serve", "--listen", `127.0.0.1:${port}`, "--token", token, "--json", ...args];
  const program = new Program("edge", edgeRuntime, "bin/edge.ts", flags, { fileBlocks: blocks });
  const ready = await program.next(isReady);
  return { program, ready, port: Number(String(ready.listen).split(":").at(-1)) };
}

/** Edges that are given the same listening socket, as a supervisor does that holds it. */
export interface SharedSocket {
  readonly port: number;
  /** Resolves once it listens. It ends what it began with `killAll()`. */
  start(): Promise<EdgeProcess>;
}

/**
 * A socket that no process accepts on but the edges, `count` of them, each of which begins with a call of `start()`. They
 * hold the socket before.
 */
export async function shareSocket(count: number, folder: string, ...args: string[]): Promise<SharedSocket> {
  const parent = createServer();
  parent.listen(0, "127.0.0.1");
  await once(parent, "listening");
  const { port } = parent.address() as AddressInfo;
  const inherited = listeningDescriptor(port);
  const flags = ["serve", "--listen", "fd:3", "--token", token, "--json", ...args];
  const waiting = Array.from({ length: count }, (_, i) => {
    const gate = join(folder, `gate-${i}`);
    execFileSync("mkfifo", [gate]);
    return { gate, program: new Program("edge", edgeRuntime, "bin/edge.ts", flags, { inherited, gate }) };
  });
  // Each has a copy.
  await new Promise((closed) => parent.close(closed));
  return {
    port,
    async start() {
      const { gate, program } = waiting.shift()!;
      await writeFile(gate, "begin\n");
      return { program, ready: await program.next(isReady), port };
    },
  };
}

/** An agent for `upstreamPort`. Further flags replace those that are given here. */
export function spawnAgent(edgePort: number, upstreamPort: number, ...args: string[]): Program {
  return spawnLimitedAgent(null, edgePort, upstreamPort, ...args);
}

/** @param descriptors the most that it may have open; null: as many as this process */
export function spawnLimitedAgent(
  descriptors: number | null,
  edgePort: number,
  upstreamPort: number,
  ...args: string[]
): Program {
  const flags = new Map([["--edge", `http://127.0.0.1:${edgePort}`], ["--token", token], ["--name", "shop"]]);
  for (let index = 0; index < args.length; index += 2) flags.set(args[index], args[index + 1]);
  const words = ["http", String(upstreamPort), "--json", "--log-level", "error", ...[...flags].flat()];
  return new Program("agent", agentRuntime, "bin/agent.ts", words, { descriptors });
}

export const isReady = (line: Line): boolean => line.event === "ready";

/** Resolves with the next line of that event. */
export function nextEvent(program: Program, event: string): Promise<Line> {
  return program.next((line: Line) => line.event === event);
}

/** Sends a signal. After the child's own `kill()` Deno would report the signal in place of the exit code. */
export function signal(program: Program, name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGINT"): void {
  process.kill(program.pid as number, name);
}

/** Resolves with the exit code. */
export async function exited(program: Program): Promise<number | null> {
  if (!program.exited) await once(program, "exit");
  return program.exitCode;
}

export interface ProcessTunnel extends Pick<Tunnel, "host" | "connect"> {
  readonly edge: EdgeProcess;
  readonly agent: Program;
}

/** An edge and an agent, connected. */
export async function spawnTunnel(upstreamPort: number, protocol: Protocol, ...args: string[]): Promise<ProcessTunnel> {
  return await connectAgent(await spawnEdge(), upstreamPort, protocol, ...args);
}

/** A new agent of an edge that is there. */
export async function connectAgent(
  edge: EdgeProcess,
  upstreamPort: number,
  protocol: Protocol,
  ...args: string[]
): Promise<ProcessTunnel> {
  const agent = spawnAgent(edge.port, upstreamPort, "--protocol", protocol, ...args);
  await agent.next(isReady);
  return { edge, agent, host: "shop.localhost", connect: () => connectTo(edge.port) };
}

export async function connectTo(port: number): Promise<SocketReader> {
  return new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
}

/** Kills all programs that still run. */
export async function killAll(): Promise<void> {
  await killAllBut(null);
}

/** Kills all programs that still run, but for one. */
export async function killAllBut(kept: Program | null): Promise<void> {
  await Promise.all([...Program.running].map(async (program) => {
    if (program === kept) return;
    program.kill();
    await exited(program);
  }));
}

/** How many descriptors a process has open; null where the system does not tell. */
export function descriptorsOf(program: Program): number | null {
  try {
    return readdirSync(`/proc/${program.pid}/fd`).length;
  } catch {
    return null;
  }
}
