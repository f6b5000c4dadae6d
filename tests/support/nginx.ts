/** An nginx of the system, which a test puts in front of something. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { eventually } from "./net.ts";
import { withScratch } from "./scratch.ts";

/** Runs `use` beside an nginx with this configuration; every file of it stays in a folder that goes away. */
export function withNginx(port: number, server: string, use: () => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
    const http = ["access_log off;", ...temporary, server].join("\n");
    const file = join(folder, "nginx.conf");
    await writeFile(file, `daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\n${http}\n}\n`);
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const nginx = spawn("nginx", ["-p", folder, "-e", "stderr", "-c", file], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(nginx, "close");
    let log = "";
    nginx.stderr.setEncoding("utf8").on("data", (text: string) => log += text);
    try {
      await Promise.race([
        eventually(() => isListening(port)),
        ended.then(() => Promise.reject(new Error(`nginx ended:\n${log}`))),
      ]);
      await use();
    } finally {
      nginx.kill("SIGTERM");
      await ended;
    }
  });
}

/** True where somebody listens on that port of 127.0.0.1. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
