import type { IkeSa } from "./ikeSa.ts";
import type { PeerOperation } from "./operation.ts";
import type { Peer } from "./peers.ts";

/** What a deadline is for. */
export type Timer =
  /** The response to the outstanding request is late. */
  | { readonly kind: "retransmission"; readonly sa: IkeSa }
  /** The present state of the IKE SA has lasted too long. */
  | { readonly kind: "expiry"; readonly sa: IkeSa }
  /** Rekey, reauthentication, liveness check or release is due. */
  | { readonly kind: "renewal"; readonly sa: IkeSa }
  /** A request that met TEMPORARY_FAILURE is to be repeated (RFC 7296 section 2.25). */
  | { readonly kind: "retry"; readonly peer: Peer; readonly operation: PeerOperation };
