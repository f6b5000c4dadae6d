/** How large heads may be: those of requests at the edge, those of answers at the agent. */
import { countOption, sizeOption } from "./option.ts";

/**
 * The largest values leave room in a header block of `runnel.v2` for what both ends add.
 *
 * @param what whose head it is, such as `a request`
 * @param past what becomes of a larger one
 */
export function headOptions(what: string, past: string) {
  return {
    headLimit: sizeOption(
      { name: "head-limit", help: `the largest head of ${what}; ${past}`, default: "64KiB" },
      ["8KiB", "120KiB"],
    ),
    fieldLimit: countOption(
      { name: "field-limit", help: `the most fields of ${what}; ${past}`, default: "256" },
      ["16", "480"],
    ),
  };
}
