/** Exchanges by the hundreds of their status, as labels: each once, since there are samples of each for every tunnel. */
import type { Traffic } from "../http/mod.ts";
import type { Samples } from "./metric.ts";

const labels = ["canceled", "1xx", "2xx", "3xx", "4xx", "5xx"].map((status) => ({ status }));

export const STATUS_SAMPLES = labels.length;

export function addStatuses({ byStatus }: Traffic, samples: Samples): void {
  for (const [index, count] of byStatus.entries()) samples.add(count, labels[index]);
}
