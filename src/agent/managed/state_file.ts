/** What an agent keeps over restarts: who it is, and its last good config, with which it starts while its edge is down. */
import { join } from "node:path";
import { z } from "zod";
import { readIfExists, replacePrivateFile } from "../../config/mod.ts";
import { parseJson } from "../../session/mod.ts";
import { keptInstance } from "../instance.ts";
import { readTunnels, type TunnelConfig } from "./tunnel_config.ts";

/** A config that was served. */
export interface AgentState {
  readonly version: number;
  readonly checksum: string;
  readonly tunnels: readonly TunnelConfig[];
}

const stored = z.object({
  edge: z.string(),
  version: z.int().min(0),
  checksum: z.string(),
  tunnels: z.array(z.record(z.string(), z.unknown())),
});

/** Files of an agent's data folder. Only its owner can read them. */
export class StateFile {
  readonly #configPath: string;
  readonly #folder: string;

  /** @param folder is made with the first file */
  constructor(folder: string) {
    this.#configPath = join(folder, "agent-config.json");
    this.#folder = folder;
  }

  /** Which one of its node's agents this is: see `keptInstance`. */
  instance(): Promise<string> {
    return keptInstance(this.#folder);
  }

  /**
   * The config that was kept for `edge`; null where there is none that can be read.
   *
   * @param edge as `EdgeUrl.label`
   */
  async read(edge: string): Promise<AgentState | null> {
    const text = await readIfExists(this.#configPath);
    const { data } = stored.safeParse(text === null ? null : parseJson(text));
    if (data === undefined || data.edge !== edge) return null;
    const { version, checksum } = data;
    const { tunnels, fault } = readTunnels(data.tunnels.map((tunnel) => ({ id: "", ...tunnel })));
    return fault === null ? { version, checksum, tunnels } : null;
  }

  /** Rejects with what `node:fs` throws. */
  async write(edge: string, { version, checksum, tunnels }: AgentState): Promise<void> {
    await replacePrivateFile(this.#configPath, `${JSON.stringify({ edge, version, checksum, tunnels }, null, 2)}\n`);
  }
}
