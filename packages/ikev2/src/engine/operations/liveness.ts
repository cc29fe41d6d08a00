import { ExchangeType } from "../../registry/exchangeType.ts";
import type { Operation } from "../operation.ts";

/** HDR, SK {}  -->  <--  HDR, SK {}: are you alive? RFC 7296 section 2.4. Any answer will do. */
export const livenessOperation: Operation = {
  name: "liveness",
  exchangeType: ExchangeType.INFORMATIONAL,
  request: () => [],
  response: () => undefined,
  failed: () => undefined,
};
