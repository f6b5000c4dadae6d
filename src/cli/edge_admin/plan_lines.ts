/** What a deployment changes, for people. */

export interface PlanStep {
  readonly action: "add" | "change" | "remove" | "keep";
  readonly kind: "node" | "tunnel";
  readonly name: string;
  readonly changes: readonly { readonly key: string; readonly before: unknown; readonly after: unknown }[];
}

export interface Deployed {
  readonly revision: number;
  readonly changed: boolean;
  readonly plan: readonly PlanStep[];
  readonly nodes: readonly { readonly name: string; readonly version: number }[];
}

const signs = { add: "+", change: "~", remove: "-", keep: "=" } as const;

/**
 * The lines of a diff: what is added (`+`), changed (`~`) and removed (`-`), and the sum.
 *
 * @param names of the tunnels that the file has: the project's others are left where they are; null: there is no file
 */
export function planLines(deployed: Deployed, isDryRun: boolean, names: ReadonlySet<string> | null): string[] {
  const { plan } = deployed;
  const left = plan.filter(({ kind, action, name }) => {
    return names !== null && kind === "tunnel" && action === "keep" && !names.has(name);
  });
  return [
    ...plan.filter(({ action }) => action !== "keep").flatMap(stepLines),
    ...left.map(({ name }) => `= tunnel ${name} is not in the file: --prune removes it`),
    sumLine(deployed, isDryRun),
  ];
}

function stepLines({ action, kind, name, changes }: PlanStep): string[] {
  const width = Math.max(0, ...changes.map(({ key }) => key.length));
  const details = action === "remove" ? [] : changes;
  return [
    `${signs[action]} ${kind} ${name}`,
    ...details.map(({ key, before, after }) => `    ${key.padEnd(width)}  ${changeText(before, after)}`),
  ];
}

function changeText(before: unknown, after: unknown): string {
  if (before === null) return valueText(after);
  if (Array.isArray(before) && Array.isArray(after)) {
    const lost = before.filter((item) => !after.includes(item)).map((item) => `-${item}`);
    const gained = after.filter((item) => !before.includes(item)).map((item) => `+${item}`);
    if (lost.length + gained.length > 0) return [...lost, ...gained].join(" ");
  }
  return `${valueText(before)} -> ${valueText(after)}`;
}

/** `none`, `a, b`, `firstByte=60s, idle=off` */
function valueText(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value)) return value.join(", ") || "none";
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([key, item]) => `${key}=${item}`).join(", ") || "none";
}

function sumLine({ revision, changed, plan }: Deployed, isDryRun: boolean): string {
  const count = (action: PlanStep["action"]) => plan.filter((step) => step.action === action).length;
  const sum = `${count("add")} added, ${count("change")} changed, ${count("remove")} removed, ${
    count("keep")
  } unchanged`;
  if (isDryRun) return changed ? `Would be applied: ${sum}` : `Nothing would change: ${sum}`;
  return changed ? `Applied as revision ${revision}: ${sum}` : `Nothing to change, revision ${revision}: ${sum}`;
}
