/** An nginx of the system, which a test puts in front of something. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withForeignProxy } from "./foreign_proxy.ts";
import { withScratch } from "./scratch.ts";

/** Runs `use` beside an nginx with this configuration; every file of it stays in a folder that goes away. */
export function withNginx(port: number, server: string, use: () => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
    const http = ["access_log off;", ...temporary, server].join("\n");
    const file = join(folder, "nginx.conf");
    await writeFile(file, `daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\n${http}\n}\n`);
    await withForeignProxy(["nginx", "-p", folder, "-e", "stderr", "-c", file], port, folder, use);
  });
}
