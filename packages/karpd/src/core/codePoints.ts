/** The registry numbers that the gatekeeper speaks in (registry/key-states.tsv, registry/notify-types.tsv). */

/** States in the KMP_KEY_STATE notify. */
export const KeyState = { unknown: 0, ready: 1, inUse: 2, withdrawn: 3, failed: 4, observing: 5 } as const;

export const keyStateNames: readonly string[] = ["unknown", "ready", "in-use", "withdrawn", "failed", "observing"];

/** Notify Message Types with which a request for an MKT is refused, RFC 7296 section 3.10.1; 8960 is private. */
export const Refusal = {
  NO_ADDITIONAL_SAS: 35,
  TS_UNACCEPTABLE: 38,
  TEMPORARY_FAILURE: 43,
  CHILD_SA_NOT_FOUND: 44,
  KEYID_IN_USE: 8960,
} as const;

/** IP protocol number of TCP in traffic selectors. */
export const IP_PROTOCOL_TCP = 6;
