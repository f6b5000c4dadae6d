// @ts-check
/** What edges that scripts and tests start find around them: nothing of the machine's own edge, and no shared port. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** @type {string | null} */
let folder = null;

/** Gives this process, and with it its children, a data folder of its own, and no admin API. Flags go on counting more. */
export function isolateEdges() {
  if (folder !== null) return;
  folder = mkdtempSync(join(tmpdir(), "runnel-data-"));
  process.env.RUNNEL_DATA = folder;
  process.env.RUNNEL_ADMIN_LISTEN = "off";
  // Agents keep there which one they are.
  process.env.XDG_CONFIG_HOME = join(folder, "config");
  process.on("exit", () => rmSync(/** @type {string} */ (folder), { recursive: true, force: true }));
}
