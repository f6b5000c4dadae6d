/** A proxy of the system, which a test puts in front of something. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { eventually } from "./net.ts";

/** Runs `use` while `command` runs, from when on it listens on `port`. Its home is `folder`. */
export async function withForeignProxy(
  [command, ...words]: readonly string[],
  port: number,
  folder: string,
  use: () => Promise<void>,
): Promise<void> {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, HOME: folder, XDG_DATA_HOME: folder };
  const proxy = spawn(command as string, words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(proxy, "close");
  let log = "";
  for (const stream of [proxy.stdout, proxy.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => log += text);
  }
  try {
    await Promise.race([
      eventually(() => isListening(port)),
      ended.then(() => Promise.reject(new Error(`${command} ended:\n${log}`))),
    ]);
    await use();
  } finally {
    proxy.kill("SIGTERM");
    await ended;
  }
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
