import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { Operation } from "../operation.ts";

/**
 * HDR, SK {D}  -->  <--  HDR, SK {}: RFC 7296 section 1.4.1. The last request of its IKE SA, which goes when the
 * response comes or has been waited for long enough.
 */
export const closeIkeSaOperation: Operation = {
  name: "closeIkeSa",
  exchangeType: ExchangeType.INFORMATIONAL,
  request: () => [{ kind: "D", protocolId: SecurityProtocolId.IKE, spiSize: 0, spis: [] }],
  response: () => undefined,
  failed: () => undefined,
};

/**
 * HDR, SK {N(AUTHENTICATION_FAILED)}  -->: the responder believes in an IKE SA that we refuse; this ends it without a
 * Delete (RFC 7296 section 2.21.2).
 */
export function reportFailureOperation(notifyType: number): Operation {
  return {
    name: "reportFailure",
    exchangeType: ExchangeType.INFORMATIONAL,
    request: () => [encodePlainNotify(notifyType)],
    response: () => undefined,
    failed: () => undefined,
  };
}
