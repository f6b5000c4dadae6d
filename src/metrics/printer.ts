/** Prints metrics by prom-client, whose values are counted elsewhere: it asks each as it would ask one of its own. */
import type { Metric, Sample } from "./metric.ts";

type PromClient = typeof import("prom-client");
type PrintedMetric = import("prom-client").Metric;

export class Printer {
  readonly contentType: string;
  readonly #registry: InstanceType<PromClient["Registry"]>;

  private constructor({ Registry }: PromClient) {
    this.#registry = new Registry();
    this.contentType = this.#registry.contentType;
  }

  /** Loaded when it is needed: most runs of the programs print no metrics. */
  static async load(): Promise<Printer> {
    return new Printer(await import("prom-client"));
  }

  /** @param isFirst false: samples of that metric were printed before, so that its head is not needed again */
  async print({ name, help, type }: Metric<never>, samples: readonly Sample[], isFirst: boolean): Promise<string> {
    const source: unknown = { name, get: () => Promise.resolve({ name, help, type, values: samples }) };
    this.#registry.clear();
    this.#registry.registerMetric(source as PrintedMetric);
    const text = `${await this.#registry.getSingleMetricAsString(name)}\n`;
    return isFirst ? text : text.split("\n").slice(HEAD_LINES).join("\n");
  }
}

/** HELP and TYPE. */
const HEAD_LINES = 2;
