/**
 * Which edge serves from a data folder: the file `serving.json`, which each edge writes once it listens, and removes when
 * it has ended. An edge that leaves finds another one's name there, and knows that it has a successor.
 *
 * Whether the process of that file still runs is not asked. Its number means nothing in another container, and a file that
 * a killed edge left does little: what an edge that leaves still serves may take longer, and an edge that starts waits for
 * an admin port that another program has, where it would have failed.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { z } from "zod";
import { messageOf } from "../../base/mod.ts";
import { readIfExists, replacePrivateFile } from "../../config/mod.ts";
import { processId } from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";

const record = z.object({
  /** Of the edge's run, drawn at its start. */
  id: z.string().max(64),
  /** For people and scripts, which compare it with that of a unit. */
  pid: z.number().int(),
  /** Where it listens. */
  listeners: z.array(z.string().max(1024)).max(1024),
});

type Serving = z.infer<typeof record>;

export class Succession {
  /** True where an edge before this one has not ended, or was killed. */
  readonly hasPredecessor: boolean;
  readonly #path: string;
  readonly #id = randomBytes(12).toString("hex");
  #listeners: readonly string[] = [];

  private constructor(path: string, before: Serving | null) {
    this.#path = path;
    this.hasPredecessor = before !== null;
  }

  static async open(path: string): Promise<Succession> {
    return new Succession(path, await servingIn(path));
  }

  /** This edge listens: an edge at the same addresses has a successor from now on. */
  async listens(listeners: readonly string[]): Promise<void> {
    this.#listeners = listeners;
    const serving: Serving = { id: this.#id, pid: processId(), listeners: [...listeners] };
    try {
      await replacePrivateFile(this.#path, `${JSON.stringify(serving)}\n`);
    } catch (error) {
      logger("edge").warn("The edge before this one cannot know of it: {reason}", { reason: messageOf(error) });
    }
  }

  /** True where another edge has come that listens at one of the same addresses. */
  async hasSuccessor(): Promise<boolean> {
    const serving = await servingIn(this.#path);
    if (serving === null || serving.id === this.#id) return false;
    return serving.listeners.some((address) => this.#listeners.includes(address));
  }

  /** This edge has ended. */
  async end(): Promise<void> {
    const serving = await servingIn(this.#path);
    if (serving?.id === this.#id) await rm(this.#path, { force: true }).catch(() => {});
  }
}

/** Null where there is no file, or none that can be read. */
async function servingIn(path: string): Promise<Serving | null> {
  try {
    const text = await readIfExists(path);
    return text === null ? null : record.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
