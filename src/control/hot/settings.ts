/** Config section `hot` (config/hot-fields.ts has units, bounds and defaults): what lanes are told of it, and the keeper. */
import type { HotSettings } from '../../dataplane/hot/setup.ts';
import type { ConfigFile } from '../config/schema.ts';

/** What can change while frames pass. */
export interface HotLimits {
  /** Share of all requests from which a key is hot. */
  readonly share: number;
  /** Largest load of a node ÷ mean that is allowed. */
  readonly imbalance: number;
  /** Nodes that one key may lie on, home among them. */
  readonly copiesMax: number;
  /** Share of writes above which a key is left alone. */
  readonly writeShareMax: number;
}

export interface HotControlSettings {
  readonly enabled: boolean;
  readonly cache: boolean;
  readonly limits: HotLimits;
  /** How long a cold key stays while there is room, ms. */
  readonly keepMs: number;
  /** Keys, as text. */
  readonly pin: readonly string[];
  readonly ban: readonly string[];
  /** The lanes' part. */
  readonly lane: HotSettings;
}

const MS_PER_S = 1000;

/** @param hot section that has passed the schema and the rules */
export function normaliseHot(hot: ConfigFile['hot']): HotControlSettings {
  return {
    enabled: hot.enabled,
    cache: hot.cache,
    limits: {
      share: hot.share,
      imbalance: hot.imbalance,
      copiesMax: hot.copies_max,
      writeShareMax: hot.write_share_max,
    },
    keepMs: hot.keep_s * MS_PER_S,
    pin: hot.pin,
    ban: hot.ban,
    lane: {
      items: hot.keys,
      l1Items: hot.l1_keys,
      detector: {
        name: hot.detector,
        options: { epsilon: hot.error, bytes: hot.detector_bytes },
        instant: { window: hot.instant.window, threshold: hot.instant.count },
      },
      epochMs: hot.epoch_ms,
      lifeMs: hot.datagram_life_ms,
      leaseMs: hot.lease_s * MS_PER_S,
      refreshMs: hot.refresh_ms,
      ttlGuardMs: hot.ttl_guard_ms,
      operations: hot.operations,
      waiting: hot.waiting,
    },
  };
}
