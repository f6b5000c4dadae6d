/** Records for tests. */
import type { AuditEntry, Change, NodeRecord, TunnelRecord } from "../../src/store/mod.ts";

export const at = "2026-01-02T03:04:05.000Z";
export const audit: AuditEntry = { at, actor: "admin", action: "test", subject: "it", detail: {} };

export function node(name: string, labels: Record<string, string> = {}): NodeRecord {
  return { id: `id-of-${name}`, name, labels, createdAt: at };
}

export function tunnel(name: string, nodes: string[]): TunnelRecord {
  return {
    id: `id-of-${name}`,
    name,
    kind: "http",
    nodes,
    upstream: "http://127.0.0.1:3000",
    hostnames: [],
    port: null,
    requires: [],
    project: null,
    settings: {},
  };
}

export function putNode(name: string, ifRevision?: number): Change {
  return { kind: "node", key: name, value: node(name), ifRevision };
}
