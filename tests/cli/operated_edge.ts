/** An edge with its admin API, as a program in the process of the test, and what a test does with both. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { withScratch } from "../support/scratch.ts";
import { type Event, ProgramRun, type Result, runToEnd } from "./program_run.ts";

/** The edge's own token. */
export const sharedToken = "a-token-of-the-tests";

export interface OperatedEdge {
  readonly run: ProgramRun;
  readonly ready: Event;
  /** For `--edge`. */
  readonly url: string;
  /** For `--admin`. */
  readonly admin: string;
  readonly adminToken: string;
  /** Runs a command of `edge` that asks this edge, to its end. */
  command(...args: readonly string[]): Promise<Result>;
  /** Starts one that does not end by itself. */
  start(...args: readonly string[]): ProgramRun;
  /** Asks the admin API, with its token. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Starts an agent with `--json`; resolves when its tunnel is open. */
  agent(upstreamPort: number, ...args: readonly string[]): Promise<ProgramRun>;
}

/**
 * Runs `use` with a new edge, whose data folder goes away with it.
 *
 * @param environment of the edge. Default: none.
 */
export function withOperatedEdge(
  use: (edge: OperatedEdge) => Promise<void>,
  environment: Record<string, string> = {},
): Promise<void> {
  return withScratch(async (data) => {
    const loopback = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    const args = ["serve", ...loopback, "--data", data, "--token", sharedToken, "--json"];
    const run = new ProgramRun(edgeProgram, args, { environment });
    const ready = await run.event("ready");
    const admin = `http://${ready.admin}`;
    const adminToken = (await readFile(join(data, "admin-token"), "utf8")).trim();
    const options = { environment: { RUNNEL_ADMIN_TOKEN: adminToken } };
    const url = `http://${ready.listen}`;
    try {
      await use({
        run,
        ready,
        url,
        admin,
        adminToken,
        command: (...words) => runToEnd(edgeProgram, [...words, "--admin", admin], options),
        start: (...words) => new ProgramRun(edgeProgram, [...words, "--admin", admin], options),
        fetch: (path, { headers, ...init } = {}) => {
          return fetch(admin + path, { ...init, headers: { Authorization: `Bearer ${adminToken}`, ...headers } });
        },
        agent: async (port, ...words) => {
          const token = words.includes("--token") ? [] : ["--token", sharedToken];
          const agent = new ProgramRun(agentProgram, [
            "http",
            String(port),
            "--edge",
            url,
            "--json",
            ...token,
            ...words,
          ]);
          await agent.event("ready");
          return agent;
        },
      });
    } finally {
      // A second signal ends what still runs.
      run.signal("SIGINT");
      await run.stop();
    }
  });
}

export interface Upstream {
  readonly port: number;
  /** Answers the requests for `/late`, which wait until then. */
  answerLate(): void;
}

/** Runs `use` with a service that reads each request and answers `hello`. */
export async function withUpstream(use: (upstream: Upstream) => Promise<void>): Promise<void> {
  const { promise: released, resolve: answerLate } = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    const isLate = request.url?.startsWith("/late") ?? false;
    request.resume().on("end", () => void (isLate ? released : Promise.resolve()).then(() => response.end("hello")));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use({ port: (server.address() as AddressInfo).port, answerLate });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
