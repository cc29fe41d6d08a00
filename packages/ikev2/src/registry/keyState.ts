// Generated from registry/key-states.tsv. Do not edit.
/** States in the KMP_KEY_STATE notify. */
export const KeyState = {
  /** karp (private use) */
  unknown: 0,
  /** karp (private use) */
  ready: 1,
  /** karp (private use) */
  inUse: 2,
  /** karp (private use) */
  withdrawn: 3,
  /** karp (private use) */
  failed: 4,
  /** karp (private use) */
  observing: 5,
} as const;
export type KeyState = (typeof KeyState)[keyof typeof KeyState];
