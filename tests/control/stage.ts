/** A control plane on a store of its own, without an edge. */
import { join } from "node:path";
import { type ConfigChangeReason, Control, type ControlOptions, type NewTunnel } from "../../src/control/mod.ts";
import { openSqliteStore, type Store } from "../../src/store/mod.ts";
import { withScratch } from "../support/scratch.ts";

export interface ControlStage {
  readonly control: Control;
  readonly store: Store;
  /** Each config that was changed since this was called last: the node, its version and why. */
  changed(): [node: string, version: number, reason: ConfigChangeReason][];
}

/** The domain is example.com. */
export function onControlStage(
  use: (stage: ControlStage) => Promise<void>,
  options: Partial<ControlOptions> & { readonly keptRevisions?: number } = {},
): Promise<void> {
  return withScratch(async (folder) => {
    const { keptRevisions, ...controlOptions } = options;
    const store = await openSqliteStore({ path: join(folder, "store.db"), keptRevisions });
    const changes: [string, number, ConfigChangeReason][] = [];
    const control = await Control.open({
      store,
      domain: "example.com",
      onConfigChanged: (...change) => void changes.push(change),
      ...controlOptions,
    });
    try {
      await use({ control, store, changed: () => changes.splice(0) });
    } finally {
      control.close();
      await store.close();
    }
  });
}

export function newTunnel(name: string, init: Partial<NewTunnel> = {}): NewTunnel {
  const upstream = "http://127.0.0.1:3000";
  const rest = { port: null, requires: [], project: null, settings: {} };
  return { name, kind: "http", nodes: ["web-1"], upstream, hostnames: [], ...rest, ...init };
}
