import { type DoctorFinding, linesAbout } from "./finding.ts";

export interface NatSeen {
  /** RFC 3339. */
  readonly at: string;
  readonly detail: string;
}

/** NAT_DETECTION of the last IKE_SA_INIT (RFC 7296 section 2.23). Before the first one nobody knows. */
export function natLine(seen: NatSeen | undefined, hasIkeSa: boolean): readonly DoctorFinding[] {
  const { ok, error } = linesAbout("NAT");
  if (seen !== undefined) {
    const todo =
      "take the translation off the path between the two: the MAC covers both addresses (RFC 5925 section 9.2)";
    return [error(`${seen.detail} (${seen.at})`, todo)];
  }
  if (hasIkeSa) return [ok("none on the path: both ends see each other's own addresses")];
  return [
    ok(
      "not known while there is no IKE SA",
      "ask again once there is one; a NAT on the path and TCP-AO exclude each other",
    ),
  ];
}
