/** Where the system wants a program to keep its things. Pure: what it looks at is passed in. */
import { posix, win32 } from "node:path";

/** The machine and the person, as far as paths depend on them. */
export interface Place {
  /** As Node names it: `linux`, `darwin`, `win32`. */
  readonly platform: string;
  readonly home: string;
  readonly isRoot: boolean;
  environment(name: string): string | undefined;
}

/** The agent's settings: `$XDG_CONFIG_HOME/runnel/agent.yaml`, and what stands for it on macOS and Windows. */
export function agentSettingsPath(place: Place): string {
  const { join } = pathsOf(place);
  return join(personFolder(place, configNames), "agent.yaml");
}

/**
 * The edge's data, where `--data` does not say it: `$STATE_DIRECTORY` (systemd.exec(5); of several the first), then
 * `/var/lib/runnel` for root, then the person's own folder for data.
 */
export function defaultDataFolder(place: Place): string {
  if (place.platform === "win32") return personFolder(place, dataNames);
  const state = place.environment("STATE_DIRECTORY")?.split(":")[0] ?? "";
  if (state !== "") return state;
  return place.isRoot ? "/var/lib/runnel" : personFolder(place, dataNames);
}

/** A variable that names the folder, and where that is below the home folder when the variable is not set. */
interface FolderNames {
  /** XDG Base Directory Specification. */
  readonly unix: readonly [variable: string, below: string];
  readonly windows: readonly [variable: string, below: string];
}

const configNames: FolderNames = {
  unix: ["XDG_CONFIG_HOME", ".config"],
  windows: ["APPDATA", "AppData/Roaming"],
};

const dataNames: FolderNames = {
  unix: ["XDG_DATA_HOME", ".local/share"],
  windows: ["LOCALAPPDATA", "AppData/Local"],
};

function personFolder(place: Place, names: FolderNames): string {
  const { join, isAbsolute } = pathsOf(place);
  if (place.platform === "darwin") return join(place.home, "Library/Application Support/runnel");
  const [variable, below] = place.platform === "win32" ? names.windows : names.unix;
  const given = place.environment(variable) ?? "";
  // The specification wants a relative path to be ignored.
  return join(isAbsolute(given) ? given : join(place.home, below), "runnel");
}

function pathsOf(place: Place): typeof posix {
  return place.platform === "win32" ? win32 : posix;
}
