/** `/api/v1/rollout`: whether agents have applied the versions of their configs, for those who wait for it. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { createHash } from "node:crypto";
import { systemClock, type Timer } from "../base/mod.ts";
import type { Control } from "../control/mod.ts";
import type { Store } from "../store/mod.ts";
import { Refusal } from "./problems.ts";
import { tells } from "./responses.ts";
import { type NodeRollout, rolloutOf } from "./rollout.ts";
import { rolloutQuerySchema, rolloutSchema } from "./schemas.ts";
import type { StatusSource } from "./status.ts";

const show = createRoute({
  method: "get",
  path: "/api/v1/rollout",
  summary: "How far agents are with versions of their configs; waits while nothing has changed",
  request: { query: rolloutQuerySchema },
  responses: tells("How far each node is", rolloutSchema),
});

/** Between two looks at agents that come and go, and at what other edges on the same store were told. */
const LOOK_MS = 250;
/** From an acknowledgement until the answer: others that come with it are in the same one. */
const GATHER_MS = 25;

export interface RolloutSources {
  readonly control: Control;
  /** Without it, no node has a session. */
  readonly edge?: Pick<StatusSource, "sessions">;
  /** Names of the instances of a node whose push streams are open. */
  instancesOf(node: string): readonly string[];
}

export function addRolloutRoutes(app: OpenAPIHono, sources: RolloutSources): void {
  const { store } = sources.control;
  app.openapi(show, async (c) => {
    const { node, seen, waitMs } = c.req.valid("query");
    const wanted = new Map(node.map(parseNode));
    const deadline = systemClock.now() + waitMs;
    const news = new News(store, new Set(wanted.keys()), c.req.raw.signal);
    try {
      for (;;) {
        const nodes = await readRollout(sources, wanted);
        const tag = tagOf(nodes);
        const leftMs = deadline - systemClock.now();
        if (tag !== seen || leftMs <= 0 || c.req.raw.signal.aborted) return c.json({ tag, nodes: told(nodes) }, 200);
        await news.within(Math.min(leftMs, LOOK_MS));
      }
    } finally {
      news.close();
    }
  });
}

function parseNode(text: string): [name: string, version: number] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), Number(text.slice(colon + 1))];
}

/** @throws {Refusal} `node_not_found` */
async function readRollout(
  { control, edge, instancesOf }: RolloutSources,
  wanted: ReadonlyMap<string, number>,
): Promise<NodeRollout[]> {
  const sessions = edge?.sessions() ?? [];
  const connected = new Set(sessions.filter(({ isLeaving }) => !isLeaving).map((session) => session.node));
  return await Promise.all(Array.from(wanted, async ([name, version]) => {
    if (!control.directory.nodes.has(name)) throw new Refusal("node_not_found", `There is no node ${name}`);
    const acknowledgements = await control.store.acknowledgements(name);
    return rolloutOf(name, version, { acknowledgements, live: instancesOf(name), hasSession: connected.has(name) });
  }));
}

/** As the schema has it, which knows no lists that cannot be changed. */
function told(nodes: readonly NodeRollout[]) {
  return nodes.map(({ instances, ...node }) => ({ ...node, instances: instances.map((item) => ({ ...item })) }));
}

function tagOf(nodes: readonly NodeRollout[]): string {
  return createHash("sha256").update(JSON.stringify(nodes)).digest("hex").slice(0, 16);
}

/** Wakes one request when an agent of its nodes has acknowledged something, and when its client is gone. */
class News {
  readonly #signal: AbortSignal;
  readonly #unsubscribe: () => void;
  readonly #onAbort = () => this.#wake();
  /** True where something was acknowledged since the request was woken last. */
  #hasCome = false;
  #isWaiting = false;
  #timer: Timer | null = null;
  #wake: () => void = () => {};

  constructor(store: Store, nodes: ReadonlySet<string>, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
    this.#unsubscribe = store.watchAcknowledgements(({ node }) => {
      if (this.#hasCome || !nodes.has(node)) return;
      this.#hasCome = true;
      if (this.#isWaiting) this.#wakeIn(GATHER_MS);
    });
  }

  /** Resolves after `delayMs`, or before where there are news. */
  within(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#isWaiting = true;
      this.#wake = () => {
        this.#timer?.cancel();
        this.#isWaiting = this.#hasCome = false;
        resolve();
      };
      this.#wakeIn(this.#hasCome ? GATHER_MS : delayMs);
      if (this.#signal.aborted) this.#wake();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#timer?.cancel();
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  #wakeIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = systemClock.after(delayMs, () => this.#wake());
  }
}
