/** What the operator may set, config `health` (schema.ts has units, bounds and defaults), and what is fixed. */
export interface HealthSettings {
  /** False: no node is probed, and none is ever taken out. */
  readonly enabled: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly failMs: number;
  readonly failAfter: number;
  readonly passAfter: number;
  readonly returnAfterMs: number;
  readonly returnAfterMaxMs: number;
  readonly dampingHalfLifeS: number;
  readonly flushOnReturn: boolean;
  readonly keepShare: number;
  readonly missAfterMs: number;
}

/** From probe to probe of a node that is suspected, ms. */
export const SUSPECT_PERIOD_MS = 10;
/** Of a node that is down and kept: often enough to see it come back at once. */
export const KEPT_PERIOD_MS = 20;
/** Of one that is out: its answers count towards its return. */
export const OUT_PERIOD_MS = 100;
/** Of the healthy ones while another is suspected: they are witnesses that the network between is whole. */
export const WITNESS_PERIOD_MS = 50;

/** So many requests without an answer, for so long, are reason to ask. Probing is cheap. */
export const SUSPECT_REQUESTS = 3;
export const SUSPECT_MS = 25;
/** Unanswered requests alone never take a node out: so many probes must have failed too. */
export const FAILED_PROBES_MIN = 3;
/** Probes in a row whose loss breaks the good series of a node that is to return. */
export const RELAPSE_PROBES = 4;
/** From flush to flush while none is answered, ms. */
export const FLUSH_RETRY_MS = 100;
/** A host that was heard by ICMP so recently is up, ms. Linux sends one "port unreachable" a second. */
export const HOST_HEARD_MS = 2000;
/** What is heard so soon after a node fell silent may have been sent before, ms: one tick, and one probe's way. */
export const UNDER_WAY_MS = 30;
