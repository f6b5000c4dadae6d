/** What a metric is: its name, what it says, and where its values are read. */

export interface Sample {
  readonly value: number;
  /** Those that differ between the samples of one tunnel, or of the edge. */
  readonly labels: Readonly<Record<string, string | number>>;
  /** Those that all samples of one tunnel have. */
  readonly sharedLabels: Readonly<Record<string, string>>;
  /** Where it is not the metric's own: `NAME_bucket`, `NAME_sum`, `NAME_count`. */
  readonly metricName?: string;
}

export interface Metric<Source> {
  /** Ends with its unit, and that of a counter with `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly help: string;
  readonly labels: readonly string[];
  /** The most samples of one source. */
  readonly samples: number;
  /** Adds what there is of `source` now. */
  read(source: Source, samples: Samples): void;
}

/** Collects the samples of one metric. */
export class Samples {
  readonly list: Sample[] = [];
  readonly #name: string;
  #sharedLabels: Readonly<Record<string, string>> = {};

  /** @param name of the metric */
  constructor(name: string) {
    this.#name = name;
  }

  /** What follows is of another tunnel. */
  of(sharedLabels: Readonly<Record<string, string>>): void {
    this.#sharedLabels = sharedLabels;
  }

  /** @param suffix behind the metric's name. Default none. */
  add(value: number, labels: Sample["labels"] = noLabels, suffix = ""): void {
    const metricName = suffix === "" ? undefined : this.#name + suffix;
    this.list.push({ value, labels, sharedLabels: this.#sharedLabels, metricName });
  }
}

const noLabels: Sample["labels"] = {};
