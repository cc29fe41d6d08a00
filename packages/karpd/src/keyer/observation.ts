import type { DriverKey, Observation } from "../ports/routingDriver.ts";
import type { KernelKeyStatus } from "./kernel.ts";

/** What one connection told. */
export interface ConnectionKeys {
  readonly isSigned: boolean;
  readonly keys: readonly KernelKeyStatus[];
}

/**
 * One observation for all connections of a session. The one that lags behind speaks for all: the preferred key counts as
 * used when every connection has used it, any other while one still does.
 * @param onListeners keys for this peer, of each listener
 */
export function observationOf(
  wanted: readonly DriverKey[],
  connections: readonly ConnectionKeys[],
  onListeners: readonly (readonly KernelKeyStatus[])[],
): Observation {
  const signed = connections.filter(({ isSigned }) => isSigned).map(({ keys }) => keys);
  const preferred = wanted.find(({ use }) => use === "preferred");
  const current = signed.map((keys) => keys.find(({ isCurrent }) => isCurrent)?.sendId);
  const rnext = signed.map((keys) => keys.find(({ isRnext }) => isRnext)?.recvId);
  const currentSendId = laggard(current, preferred?.sendId);
  const rnextRecvId = laggard(rnext, preferred?.recvId);
  const everywhere = [...onListeners, ...signed];
  const recvIdsPresent = everywhere[0]
    ?.map(({ recvId }) => recvId)
    .filter((recvId) => everywhere.every((keys) => keys.some((key) => key.recvId === recvId)));
  return {
    connections: signed.length,
    ...(currentSendId !== undefined && { currentSendId }),
    ...(rnextRecvId !== undefined && { rnextRecvId }),
    ...(recvIdsPresent !== undefined && { recvIdsPresent }),
    goodByRecvId: goodByRecvId(signed, preferred?.recvId),
    badTotal: signed.flat().reduce((sum, { bad }) => sum + Number(bad), 0),
  };
}

function laggard(values: readonly (number | undefined)[], wanted: number | undefined): number | undefined {
  return values.find((value) => value !== undefined && value !== wanted) ?? values.find((value) => value !== undefined);
}

function goodByRecvId(
  connections: readonly (readonly KernelKeyStatus[])[],
  preferred: number | undefined,
): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const keys of connections) {
    for (const { recvId, good } of keys) {
      const before = counts.get(recvId);
      const now = Number(good);
      counts.set(recvId, before === undefined ? now : recvId === preferred ? Math.min(before, now) : before + now);
    }
  }
  return counts;
}
