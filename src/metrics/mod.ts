/** What Prometheus reads of an edge: https://prometheus.io/docs/instrumenting/exposition_formats. */
export { EdgeMetrics, type EdgeMetricsOptions } from "./edge_metrics.ts";
export type { PushFigures } from "./of_edge.ts";
