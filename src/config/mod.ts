/** The face of `src/config`. */
export { agentHttpOptions, agentLoginOptions } from "./agent_options.ts";
export { commonOptions } from "./common_options.ts";
export { DataFolder } from "./data_folder.ts";
export { edgeServeOptions } from "./edge_options.ts";
export { nameFault, randomName } from "./names.ts";
export { didYouMean } from "./nearest.ts";
export {
  type Completion,
  environmentName,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
  parseSwitch,
} from "./option.ts";
export { agentSettingsPath, defaultDataFolder, type Place } from "./places.ts";
export {
  type GivenFlags,
  type GivenSettings,
  type ResolvedOptions,
  resolveOptions,
  withoutPassword,
} from "./resolve.ts";
export { readSettings, updateSettings } from "./settings_file.ts";
export { maxTokenLength, tokenFault } from "./token_options.ts";
export { UsageError } from "./usage_error.ts";
export { serves, version, versionFieldName } from "./version.ts";
