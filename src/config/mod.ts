/** Options of the commands and where their values come from, settings and data files, names of tunnels, the version. */
export {
  adminOptions,
  applyOptions,
  eventsOptions,
  nodeAddOptions,
  nodeRotateOptions,
  pushOptions,
  restoreOptions,
  rollbackOptions,
  statusOptions,
  tokenAddOptions,
  tunnelAddOptions,
} from "./admin_options.ts";
export {
  agentFeatures,
  agentKeyFieldName,
  featurePattern,
  featuresFieldName,
  instanceFieldName,
  instancePattern,
  nameOriginFieldName,
  parseFeatures,
  RANDOM_NAME_ORIGIN,
} from "./agent_handshake.ts";
export { type AllowedUpstream, hostName, loopbackUpstreams, parseAllowedUpstream } from "./allowed_upstream.ts";
export { agentHttpOptions, agentLoginOptions, agentRunOptions } from "./agent_options.ts";
export { commonOptions } from "./common_options.ts";
export { DataFolder, DataFolderError } from "./data_folder.ts";
export { edgeServeOptions } from "./edge_options.ts";
export {
  declaredRefusal,
  defaultReservedNames,
  nameFault,
  randomName,
  type ReservedName,
  reservedNamesWith,
  tunnelNameFault,
} from "./names.ts";
export { type ListenAddress, parseListenAddress } from "./listen_address.ts";
export { didYouMean } from "./nearest.ts";
export {
  type Completion,
  environmentName,
  flagUsage,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
  parseSwitch,
} from "./option.ts";
export { agentSettingsPath, defaultDataFolder, type Place } from "./places.ts";
export { type GivenFlags, type GivenSettings, type ResolvedOptions, resolveOptions } from "./resolve.ts";
export { createPrivateFile, readIfExists, replacePrivateFile } from "./private_file.ts";
export { readSettings, updateSettings } from "./settings_file.ts";
export { MAX_TOKEN_CHARACTERS, tokenFault } from "./token_options.ts";
export { timeoutText, type TunnelSettings, tunnelSettingsFields, tunnelSettingsShape } from "./tunnel_settings.ts";
export { formatTimeout, parseTimeout } from "./units.ts";
export { asUsageError, UsageError } from "./usage_error.ts";
export { serves, version, versionFieldName } from "./version.ts";
export { ConfigFileError, readYaml, readYamlFile, type YamlFile, type YamlFileOptions } from "./yaml_file.ts";
