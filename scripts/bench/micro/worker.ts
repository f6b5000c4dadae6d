/**
 * The process in which a case is measured, so that no case sees the garbage and the compiled code of another. Requests
 * come as lines of JSON on standard input, answers leave so on standard output.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { cases } from "./cases.ts";
import { workloads } from "./workloads.ts";

/** `measure`: a case, in all its rounds. Else a workload, once. */
export type WorkerRequest =
  | { readonly measure: string; readonly rounds: number }
  | { readonly workload: string; readonly options: Record<string, unknown> };

function answer(request: WorkerRequest): unknown {
  if ("measure" in request) {
    const one = cases.find(({ name }) => name === request.measure);
    if (one === undefined) throw new Error(`There is no case ${request.measure}`);
    return one.measure(request.rounds);
  }
  const workload = workloads[request.workload];
  if (workload === undefined) throw new Error(`There is no workload ${request.workload}`);
  return workload(request.options);
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(JSON.parse(line) as WorkerRequest);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
