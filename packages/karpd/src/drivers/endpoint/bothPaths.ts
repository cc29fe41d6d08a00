import type { ApplyOutcome, DriverKey, Observation } from "../../ports/routingDriver.ts";
import type { KernelState } from "./kernelSession.ts";

/** Nothing is better than the worse of both. */
export function bothOutcomes(stream: ApplyOutcome, kernel: ApplyOutcome): ApplyOutcome {
  const worst = ["refused", "lost", "foreign", "pending"] as const;
  for (const kind of worst) {
    const found = [stream, kernel].find((outcome) => outcome.kind === kind);
    if (found !== undefined) return found;
  }
  return stream;
}

/**
 * What both paths agree on: a key is in use when it is in use on both, and no longer in use when neither uses it. While
 * the kernel has no connection, the segments alone tell, and the other way round.
 */
export function bothObservations(
  stream: Observation,
  kernel: { state(): KernelState | undefined; recvIds(): readonly number[] },
  preferred: Pick<DriverKey, "sendId" | "recvId"> | undefined,
): Observation {
  const state = kernel.state();
  const accepted = new Set(kernel.recvIds());
  const recvIdsPresent = (stream.recvIdsPresent ?? []).filter((id) => accepted.has(id));
  if (state === undefined) return { ...stream, recvIdsPresent };
  const { good, rejected, currentSendId, rnextRecvId, goodByRecvId } = state;
  if (stream.connections === 0) {
    const ids = {
      ...(currentSendId !== undefined && { currentSendId }),
      ...(rnextRecvId !== undefined && { rnextRecvId }),
    };
    return { connections: 1, ...ids, goodByRecvId, goodTotal: good, badTotal: rejected, recvIdsPresent };
  }
  const { receivedKeyId, currentSendId: _, rnextRecvId: __, ...rest } = stream;
  const current = laggard(preferred?.sendId, stream.currentSendId, currentSendId);
  const rnext = laggard(preferred?.recvId, stream.rnextRecvId, rnextRecvId);
  // The last segment alone proves the preferred key for one path only
  const isProof = receivedKeyId !== preferred?.recvId || (goodByRecvId.get(receivedKeyId ?? -1) ?? 0) > 0;
  return {
    ...rest,
    connections: (stream.connections ?? 0) + 1,
    ...(current !== undefined && { currentSendId: current }),
    ...(rnext !== undefined && { rnextRecvId: rnext }),
    goodByRecvId: leastOf(stream.goodByRecvId ?? new Map(), goodByRecvId),
    goodTotal: (stream.goodTotal ?? 0) + good,
    badTotal: (stream.badTotal ?? 0) + rejected,
    ...(receivedKeyId !== undefined && isProof && { receivedKeyId }),
    recvIdsPresent,
  };
}

/** The one that has not reached `goal` yet. */
function laggard(goal: number | undefined, stream: number | undefined, kernel: number | undefined): number | undefined {
  if (stream === undefined || kernel === undefined) return undefined;
  return stream === goal ? kernel : stream;
}

/** Of each counter the smaller one: it has grown only when something was accepted on both paths. */
function leastOf(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  return new Map([...a].map(([id, count]) => [id, Math.min(count, b.get(id) ?? 0)]));
}
