import type { Observation } from "../../ports/routingDriver.ts";
import { isEstablished, type ProtocolDetails } from "./protocolDetails.ts";

/** BIRD counts back from now whenever it prints a moment, so the same one wanders by less than this. */
export const WANDER_MILLISECONDS = 200;

/** Gives the same text for the same moment, although BIRD prints it a little differently each time. */
export class SinceMemory {
  readonly #moments = new Map<string, number>();

  text(session: string, since: number): string {
    const known = this.#moments.get(session);
    const moment = known !== undefined && Math.abs(known - since) < WANDER_MILLISECONDS ? known : since;
    this.#moments.set(session, moment);
    return new Date(moment).toISOString();
  }
}

/** BIRD counts segments per connection, not per key, and does not list the keys that the kernel has. */
export function observationOf(protocol: ProtocolDetails, since: (moment: number) => string): Observation {
  if (!isEstablished(protocol)) return { connections: 0 };
  const { tcpAo } = protocol;
  return {
    connections: tcpAo === undefined ? 0 : 1,
    ...(tcpAo?.currentSendId !== undefined && { currentSendId: tcpAo.currentSendId }),
    ...(tcpAo?.rnextRecvId !== undefined && { rnextRecvId: tcpAo.rnextRecvId }),
    ...(tcpAo?.goodPackets !== undefined && { goodTotal: tcpAo.goodPackets }),
    ...(tcpAo?.badPackets !== undefined && { badTotal: tcpAo.badPackets }),
    ...(protocol.since !== undefined && { establishedSince: since(protocol.since) }),
  };
}
