// @ts-check
/** From measurements to what is reported: medians, and the ratios of measurements that were made side by side. */

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * A row of the report. `ratio` is the median of the rounds' own ratios: within a round both were measured one right
 * after the other, so that a machine that slows down for a while slows down both.
 * @typedef {{ name: string, unit: string, nginx: number, runnel: number, ratio: number,
 *   lowestRatio: number, highestRatio: number }} Row
 */

/**
 * @param {string} name @param {string} unit
 * @param {readonly number[]} nginx of each round @param {readonly number[]} runnel of the same rounds
 * @returns {Row}
 */
export function row(name, unit, nginx, runnel) {
  const ratios = runnel.map((value, round) => value / nginx[round]);
  return {
    name,
    unit,
    nginx: median(nginx),
    runnel: median(runnel),
    ratio: median(ratios),
    lowestRatio: Math.min(...ratios),
    highestRatio: Math.max(...ratios),
  };
}

/** @param {readonly Row[]} rows */
export function table(rows) {
  const cells = rows.map((item) => [
    `${item.name}, ${item.unit}`,
    format(item.nginx),
    format(item.runnel),
    item.ratio.toFixed(2),
    `${item.lowestRatio.toFixed(2)} to ${item.highestRatio.toFixed(2)}`,
  ]);
  const lines = [["", "nginx", "Runnel", "ratio", "of the rounds"], ...cells];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) =>
    line.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join("  ")
      .trimEnd()
  ).join("\n");
}

/** @param {number} value */
function format(value) {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 10 ? 1 : 2);
}

/** The 95 % interval of the mean of `values`. @param {readonly number[]} values at least two */
export function interval(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  const half = 1.96 * Math.sqrt(variance / values.length);
  return { low: mean - half, high: mean + half };
}

/**
 * The 95 % interval of the median of `values`: two of them, so that single measurements that went wrong do not widen it.
 * @param {readonly number[]} values at least two
 */
export function medianInterval(values) {
  const sorted = [...values].sort((a, b) => a - b);
  // How many of n values are below their median varies as heads of n coins do.
  const half = 1.96 * Math.sqrt(values.length) / 2;
  const low = Math.max(0, Math.floor(values.length / 2 - half));
  return { low: sorted[low], high: sorted[values.length - 1 - low] };
}
