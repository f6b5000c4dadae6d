/** The metrics of each tunnel. */
import type { TunnelFigures } from "../edge/mod.ts";
import { DURATION_BOUNDS_MS } from "../http/mod.ts";
import type { Metric } from "./metric.ts";
import { addStatuses, STATUS_SAMPLES } from "./statuses.ts";

/** A tunnel at one scrape, or all of those that are counted together. */
export interface TunnelScrape extends TunnelFigures {
  readonly labels: { readonly tunnel: string };
  readonly isRest: boolean;
  /** By the clock of the counters. */
  readonly now: number;
}

/** The name under which those are that are not counted by themselves. It can be none: an underscore is not allowed. */
export const REST_NAME = "_other";

const tunnel = ["tunnel"];
const buckets = [...DURATION_BOUNDS_MS.map((bound) => ({ le: bound / 1_000 })), { le: "+Inf" }];

export const tunnelMetrics: readonly Metric<TunnelScrape>[] = [
  {
    name: "runnel_tunnel_up",
    type: "gauge",
    help: "1 while an agent serves the tunnel, else 0.",
    labels: tunnel,
    samples: 1,
    read({ isRest, session }, samples) {
      if (!isRest) samples.add(session === null ? 0 : 1);
    },
  },
  {
    name: "runnel_requests_total",
    type: "counter",
    help: "Requests that are over, by the status that the visitor got.",
    labels: ["tunnel", "status"],
    samples: STATUS_SAMPLES,
    read: ({ traffic }, samples) => addStatuses(traffic, samples),
  },
  {
    name: "runnel_active_requests",
    type: "gauge",
    help: "Requests under way, upgraded connections included.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.active),
  },
  {
    name: "runnel_request_duration_seconds",
    type: "histogram",
    help: "From a request's head to the end of its answer, of those that are over.",
    labels: ["tunnel", "le"],
    samples: buckets.length + 2,
    read({ traffic }, samples) {
      let count = 0;
      for (const [index, here] of traffic.byDuration.entries()) {
        count += here;
        samples.add(count, buckets[index], "_bucket");
      }
      samples.add(traffic.durationMs / 1_000, undefined, "_sum");
      samples.add(count, undefined, "_count");
    },
  },
  {
    name: "runnel_first_byte_seconds",
    type: "summary",
    help: "From a request's head to that of its answer.",
    labels: tunnel,
    samples: 2,
    read({ traffic }, samples) {
      samples.add(traffic.firstByteMs / 1_000, undefined, "_sum");
      samples.add(traffic.answers, undefined, "_count");
    },
  },
  {
    name: "runnel_request_bytes_total",
    type: "counter",
    help: "Body bytes from visitors.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.bytesIn),
  },
  {
    name: "runnel_response_bytes_total",
    type: "counter",
    help: "Body bytes to visitors.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.bytesOut),
  },
  {
    name: "runnel_broken_answers_total",
    type: "counter",
    help: "Answers that broke off behind their head, and not because the visitor left.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.brokenAnswers),
  },
  {
    name: "runnel_stalled_answers",
    type: "gauge",
    help: "Answers whose visitor takes nothing now.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.visitorWait.waiting),
  },
  {
    name: "runnel_stalled_seconds_total",
    type: "counter",
    help: "For how long answers waited for visitors who took nothing, together.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic, now }, samples) => samples.add(traffic.visitorWait.totalMs(now) / 1_000),
  },
  {
    name: "runnel_window_blocked_streams",
    type: "gauge",
    help: "Requests of which bytes wait for the agent's credit alone.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic }, samples) => samples.add(traffic.creditWait.waiting),
  },
  {
    name: "runnel_window_blocked_seconds_total",
    type: "counter",
    help: "For how long requests waited for the agent's credit, together.",
    labels: tunnel,
    samples: 1,
    read: ({ traffic, now }, samples) => samples.add(traffic.creditWait.totalMs(now) / 1_000),
  },
  {
    name: "runnel_link_rtt_seconds",
    type: "gauge",
    help: "The last measured round trip to the agent. Absent before the first one, and while the tunnel is offline.",
    labels: tunnel,
    samples: 1,
    read({ session }, samples) {
      const rttMs = session?.rttMs ?? null;
      if (rttMs !== null) samples.add(rttMs / 1_000);
    },
  },
  {
    name: "runnel_session_buffered_bytes",
    type: "gauge",
    help: "Bytes in memory that wait for the agent, and that came from it and wait for visitors. Absent while offline.",
    labels: tunnel,
    samples: 1,
    read({ session }, samples) {
      if (session !== null) samples.add(session.bufferedBytes);
    },
  },
];
