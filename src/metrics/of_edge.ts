/** The metrics of the edge as a whole, and of its process. */
import type { Edge } from "../edge/mod.ts";
import { processFacts, socketCounts } from "../net/mod.ts";
import type { Metric } from "./metric.ts";
import { addStatuses, STATUS_SAMPLES } from "./statuses.ts";

/** An edge, at one scrape. */
export interface EdgeScrape {
  readonly edge: Edge;
  readonly version: string;
  /** Bun or Deno, and its version. */
  readonly runtime: string;
  readonly onlineTunnels: number;
  /** Whose every link is lost, and that wait for their agents. */
  readonly suspendedTunnels: number;
  readonly offlineTunnels: number;
  /** For how long the event loop let the scrape wait. */
  readonly eventLoopDelayMs: number;
  /** Null where nobody tells agents anything. */
  readonly push: PushFigures | null;
}

/** What agents are told, and what became of it. */
export interface PushFigures {
  /** Streams of events that are open. */
  readonly streams: number;
  /** Those that were cut off since the start, because nobody took what was written. */
  readonly cutOffs: number;
  /** Nodes with a stream of which an agent has not applied the newest config; for how long one of them at most. */
  readonly behind: { readonly nodes: number; readonly longestMs: number };
}

export const edgeMetrics: readonly Metric<EdgeScrape>[] = [
  {
    name: "runnel_build_info",
    type: "gauge",
    help: "Always 1; the labels say which program this is.",
    labels: ["version", "runtime"],
    samples: 1,
    read: ({ version, runtime }, samples) => samples.add(1, { version, runtime }),
  },
  {
    name: "runnel_ready",
    type: "gauge",
    help: "1 while the edge accepts requests, 0 while it shuts down.",
    labels: [],
    samples: 1,
    read: ({ edge }, samples) => samples.add(edge.isDraining ? 0 : 1),
  },
  {
    name: "runnel_visitor_connections",
    type: "gauge",
    help: "Connections of visitors that are open, idle ones included.",
    labels: [],
    samples: 1,
    read: ({ edge }, samples) => samples.add(edge.connections),
  },
  {
    name: "runnel_sessions",
    type: "gauge",
    help: "Sessions of agents.",
    labels: ["protocol"],
    samples: 2,
    read({ edge }, samples) {
      const counts = { v2: 0, json: 0 };
      for (const { protocol } of edge.figures.sessions()) counts[protocol]++;
      samples.add(counts.v2, { protocol: "v2" });
      samples.add(counts.json, { protocol: "json" });
    },
  },
  {
    name: "runnel_suspended_sessions",
    type: "gauge",
    help: "Sessions whose links are lost, and whose agents are waited for; they are among the others, too.",
    labels: [],
    samples: 1,
    read({ edge }, samples) {
      let count = 0;
      for (const { isSuspended } of edge.figures.sessions()) if (isSuspended) count++;
      samples.add(count);
    },
  },
  {
    name: "runnel_tunnels",
    type: "gauge",
    help: "Tunnels that agents have opened or that are declared, whether they are counted by themselves or not.",
    labels: ["state"],
    samples: 3,
    read({ onlineTunnels, suspendedTunnels, offlineTunnels }, samples) {
      samples.add(onlineTunnels, { state: "online" });
      samples.add(suspendedTunnels, { state: "suspended" });
      samples.add(offlineTunnels, { state: "offline" });
    },
  },
  {
    name: "runnel_buffered_bytes",
    type: "gauge",
    help: "Bytes in memory that wait for agents and visitors, and of requests that are being read.",
    labels: [],
    samples: 1,
    read: ({ edge }, samples) => samples.add(edge.bufferedBytes),
  },
  {
    name: "runnel_refusals_total",
    type: "counter",
    help: "Agents with a wrong token, names and sessions past a quota, connections shed, visitors past a limit.",
    labels: ["reason"],
    samples: 4,
    read({ edge }, samples) {
      const { tokens, quota, descriptors, limits } = edge.figures.refusals;
      samples.add(tokens, { reason: "token" });
      samples.add(quota, { reason: "quota" });
      samples.add(descriptors, { reason: "descriptors" });
      samples.add(limits, { reason: "limits" });
    },
  },
  {
    name: "runnel_push_subscribers",
    type: "gauge",
    help: "Push streams that agents have open.",
    labels: [],
    samples: 1,
    read({ push }, samples) {
      if (push !== null) samples.add(push.streams);
    },
  },
  {
    name: "runnel_push_cut_offs_total",
    type: "counter",
    help: "Push streams that were cut off, since their agents took nothing.",
    labels: [],
    samples: 1,
    read({ push }, samples) {
      if (push !== null) samples.add(push.cutOffs);
    },
  },
  {
    name: "runnel_config_behind_nodes",
    type: "gauge",
    help: "Nodes with a push stream of which an agent has not applied the newest config.",
    labels: [],
    samples: 1,
    read({ push }, samples) {
      if (push !== null) samples.add(push.behind.nodes);
    },
  },
  {
    name: "runnel_config_lag_seconds",
    type: "gauge",
    help: "For how long the one of them that has waited longest has done so; 0 without any.",
    labels: [],
    samples: 1,
    read({ push }, samples) {
      if (push !== null) samples.add(push.behind.longestMs / 1_000);
    },
  },
  {
    name: "runnel_own_requests_total",
    type: "counter",
    help: "Requests that are over and went to no tunnel: the edge's own paths, and hosts that nobody has.",
    labels: ["status"],
    samples: STATUS_SAMPLES,
    read: ({ edge }, samples) => addStatuses(edge.figures.own, samples),
  },
  {
    name: "runnel_event_loop_delay_seconds",
    type: "gauge",
    help: "For how long the event loop let this scrape wait: what else it does takes as long.",
    labels: [],
    samples: 1,
    read: ({ eventLoopDelayMs }, samples) => samples.add(eventLoopDelayMs / 1_000),
  },
  {
    name: "runnel_open_sockets",
    type: "gauge",
    help: "Sockets of the process: visitors', agents' and scrapers'.",
    labels: [],
    samples: 1,
    read: (_, samples) => samples.add(socketCounts().open),
  },
  {
    name: "runnel_max_sockets",
    type: "gauge",
    help: "The open sockets from which on visitors are refused, since descriptors run out. Absent where it is unknown.",
    labels: [],
    samples: 1,
    read(_, samples) {
      const { served } = socketCounts();
      if (served !== Infinity) samples.add(served);
    },
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "Processor time of the process, user and system.",
    labels: [],
    samples: 1,
    read: (_, samples) => samples.add(processFacts().cpuSeconds),
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Memory of the process.",
    labels: [],
    samples: 1,
    read: (_, samples) => samples.add(processFacts().residentBytes),
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When the process was started, in seconds since 1970.",
    labels: [],
    samples: 1,
    read: (_, samples) => samples.add(processFacts().startedAtSeconds),
  },
];
