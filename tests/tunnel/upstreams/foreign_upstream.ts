/** HTTP servers that others wrote, each started as people start it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { eventually, freePort } from "../../support/net.ts";

const programs = fileURLToPath(new URL(".", import.meta.url));

export interface ForeignUpstream {
  readonly port: number;
  stop(): Promise<void>;
}

export interface Kind {
  readonly name: string;
  /** What must be installed, as `missingPeer` takes it. */
  readonly program: string;
  /** False for a server of files, which has no events to send. */
  readonly hasEvents: boolean;
  /** @param folder one that is empty. A file `NAME-1` in it releases the first event of `/events/NAME`. */
  start(folder: string): Promise<ForeignUpstream>;
}

interface Command {
  program: string;
  args: string[];
  env?: Record<string, string>;
  /** What it prints once it listens; with the port as a group, where it has chosen that itself. */
  ready: RegExp;
  /** Ends it and its children at once. Default SIGKILL. */
  signal?: "SIGKILL" | "SIGQUIT";
}

async function start(folder: string, command: Command, port?: number): Promise<ForeignUpstream> {
  await writeFile(join(folder, "text.txt"), "hello\n");
  const child = spawn(command.program, command.args, {
    cwd: programs,
    env: { ...process.env, RELEASES: folder, PYTHONDONTWRITEBYTECODE: "1", ...command.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => output = (output + text).slice(-64 * 1024));
  }
  let isEnded = false;
  const ended = once(child, "close").finally(() => isEnded = true);
  const stop = async () => {
    child.kill(command.signal ?? "SIGKILL");
    await ended.catch(() => {});
  };
  try {
    await eventually(() => isEnded || command.ready.test(output), { deadlineMs: 50_000 });
    if (isEnded) throw new Error("it has ended");
  } catch (error) {
    await stop();
    throw new Error(`${command.program} does not listen: ${error}\n${output}`);
  }
  return { port: port ?? Number(command.ready.exec(output)![1]), stop };
}

/** For a server that cannot say which free port it has found: another may have taken the one that it is told. */
async function startOnFreePort(folder: string, command: (port: number) => Command): Promise<ForeignUpstream> {
  for (let attempt = 1;; attempt++) {
    const port = await freePort();
    try {
      return await start(folder, command(port), port);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

const node: Kind = {
  name: "Node's http",
  program: "node",
  hasEvents: true,
  start: (folder) => start(folder, { program: "node", args: ["node_server.mjs"], ready: /port (\d+)/ }),
};

/** What the Go command has compiled is kept by it for the next time. */
async function startGo(folder: string): Promise<ForeignUpstream> {
  const file = join(folder, "server");
  const env = { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "" };
  const build = spawn("go", ["build", "-o", file, "server.go"], { cwd: programs, env, stdio: "inherit" });
  const [code] = await once(build, "close");
  if (code !== 0) throw new Error(`go build ended with ${code}`);
  return start(folder, { program: file, args: [], ready: /port (\d+)/ });
}

/** Caddy serves files, and passes on to another program what a server of files has not. */
async function startCaddy(folder: string): Promise<ForeignUpstream> {
  const backend = await node.start(folder);
  try {
    const env = { FOLDER: folder, BACKEND_PORT: String(backend.port), XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    const args = ["run", "--config", "Caddyfile", "--adapter", "caddyfile"];
    const ready = /serving initial configuration/;
    const command = (port: number) => ({ program: "caddy", args, ready, env: { ...env, PORT: String(port) } });
    const caddy = await startOnFreePort(folder, command);
    return {
      port: caddy.port,
      async stop() {
        await caddy.stop();
        await backend.stop();
      },
    };
  } catch (error) {
    await backend.stop();
    throw error;
  }
}

function startGunicorn(folder: string, ...args: string[]): Promise<ForeignUpstream> {
  return start(folder, {
    program: "gunicorn",
    args: ["--bind", "127.0.0.1:0", "--worker-tmp-dir", folder, ...args, "wsgi_app:app"],
    ready: /Listening at: http:\/\/127\.0\.0\.1:(\d+)[^]*Booting worker/,
    signal: "SIGQUIT",
  });
}

export const kinds: readonly Kind[] = [
  {
    name: "php -S",
    program: "php",
    hasEvents: true,
    start: (folder) =>
      startOnFreePort(folder, (port) => ({
        program: "php",
        args: ["-S", `127.0.0.1:${port}`, "app.php"],
        ready: /Development Server .* started/,
      })),
  },
  {
    name: "gunicorn",
    program: "gunicorn",
    hasEvents: true,
    start: (folder) => startGunicorn(folder),
  },
  {
    name: "gunicorn with threads",
    program: "gunicorn",
    hasEvents: true,
    start: (folder) => startGunicorn(folder, "--threads", "4"),
  },
  {
    name: "python3 -m http.server",
    program: "python3",
    hasEvents: false,
    start: (folder) =>
      start(folder, {
        program: "python3",
        args: ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder],
        ready: /127\.0\.0\.1 port (\d+)/,
      }),
  },
  node,
  { name: "Go's net/http", program: "go", hasEvents: true, start: startGo },
  {
    name: "Java's HttpServer",
    program: "javac",
    hasEvents: true,
    // Without the option it waits 40 ms for an ACK in each answer on a reused connection (Nagle's algorithm).
    start: (folder) => {
      const args = ["-Dsun.net.httpserver.nodelay=true", "Server.java"];
      return start(folder, { program: "java", args, ready: /port (\d+)/ });
    },
  },
  {
    name: "uvicorn",
    program: "uvicorn",
    hasEvents: true,
    start: (folder) =>
      start(folder, {
        program: "uvicorn",
        args: ["--port", "0", "asgi_app:app"],
        ready: /running on http:\/\/127\.0\.0\.1:(\d+)/,
      }),
  },
  { name: "Caddy", program: "caddy", hasEvents: true, start: startCaddy },
];
