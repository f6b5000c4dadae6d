/** The files and folders that the system has for a program's settings and data. Pure: the environment is passed in. */
import { posix, win32 } from "node:path";

/** What paths depend on. */
export interface Place {
  /** As Node names it: `linux`, `darwin`, `win32`. */
  readonly platform: string;
  readonly home: string;
  readonly isRoot: boolean;
  environment(name: string): string | undefined;
}

/** The agent's settings file: `$XDG_CONFIG_HOME/runnel/agent.yaml`, or the usual place on macOS or Windows. */
export function agentSettingsPath(place: Place): string {
  const { join } = pathsOf(place);
  return join(userFolder(place, configNames), "agent.yaml");
}

/**
 * The edge's data folder without `--data`: `$STATE_DIRECTORY` (systemd.exec(5), the first of several), else
 * `/var/lib/runnel` for root, else the user's own folder for data.
 */
export function defaultDataFolder(place: Place): string {
  if (place.platform === "win32") return userFolder(place, dataNames);
  const state = place.environment("STATE_DIRECTORY")?.split(":")[0] ?? "";
  if (state !== "") return state;
  return place.isRoot ? "/var/lib/runnel" : userFolder(place, dataNames);
}

/** The variable that names a folder, and its path below the home folder where the variable is not set. */
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

/** The folder `runnel` in the user's folder of that kind. */
function userFolder(place: Place, names: FolderNames): string {
  const { join, isAbsolute } = pathsOf(place);
  if (place.platform === "darwin") return join(place.home, "Library/Application Support/runnel");
  const [variable, below] = place.platform === "win32" ? names.windows : names.unix;
  const given = place.environment(variable) ?? "";
  // The XDG specification demands that relative paths are ignored.
  return join(isAbsolute(given) ? given : join(place.home, below), "runnel");
}

function pathsOf(place: Place): typeof posix {
  return place.platform === "win32" ? win32 : posix;
}
