/** What the SETTINGS of a peer say. */
import {
  DEFAULT_FIELDS,
  DEFAULT_HEADER_BLOCK_BYTES,
  DEFAULT_INITIAL_WINDOW_BYTES,
  MAX_FIELDS,
  MAX_HEADER_BLOCK_BYTES,
  SettingId,
} from "./wire/mod.ts";

export interface PeerSettings {
  /** Bytes that this side may send on a new stream before any credit. */
  windowBytes: number;
  /** Null where the peer sets no limit. */
  maxStreams: number | null;
  /** Of the header blocks that the peer takes, as is `maxFields`. */
  maxHeaderBlockBytes: number;
  maxFields: number;
  /** See `Feature`. */
  features: number;
}

/**
 * Of a repeated id the last value holds, an unknown one is ignored, what is missing keeps its default.
 *
 * @param pairs id, value, id, value, and so on
 */
export function readPeerSettings(pairs: readonly number[]): PeerSettings {
  const settings: PeerSettings = {
    windowBytes: DEFAULT_INITIAL_WINDOW_BYTES,
    maxStreams: null,
    maxHeaderBlockBytes: DEFAULT_HEADER_BLOCK_BYTES,
    maxFields: DEFAULT_FIELDS,
    features: 0,
  };
  for (let index = 0; index < pairs.length; index += 2) {
    const value = pairs[index + 1];
    switch (pairs[index]) {
      case SettingId.INITIAL_WINDOW:
        settings.windowBytes = value;
        break;
      case SettingId.MAX_CONCURRENT_STREAMS:
        settings.maxStreams = value;
        break;
      case SettingId.MAX_HEADER_BLOCK:
        settings.maxHeaderBlockBytes = Math.min(value, MAX_HEADER_BLOCK_BYTES);
        break;
      case SettingId.MAX_FIELDS:
        settings.maxFields = Math.min(value, MAX_FIELDS);
        break;
      case SettingId.FEATURES:
        settings.features = value;
        break;
    }
  }
  return settings;
}
