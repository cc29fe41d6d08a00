import { type IkePeer, type MktTerms, mktSelectors, narrow, type TrafficSelector } from "@karp/ikev2";
import { parseAddress } from "@karp/tcp-ao";
import type { SessionConfiguration } from "../configuration.ts";
import { mktAlgorithms } from "../keytable/algorithms.ts";
import type { Association } from "./association.ts";

/** What we offer and accept for an MKT of this association. */
export function termsOf({ session, refusedAlgorithms }: Association, peer: IkePeer): MktTerms {
  const usable = session.algorithms.filter((algorithm) => !refusedAlgorithms.includes(algorithm));
  const algorithms = usable.length > 0 ? usable : session.algorithms;
  return {
    integrity: algorithms.map((algorithm) => mktAlgorithms[algorithm].integrity),
    tcpOptions: session.tcpOptions.map((options) => (options === "covered" ? 1 : 0)),
    keyExchange: session.pfs ? [...new Set(peer.suites.flatMap(({ keyExchange }) => keyExchange))] : [],
    ...sessionSelectors(session),
  };
}

/** True when the selectors of a request mean this session: its two addresses, and its port at one end at least. */
export function meansSession(
  session: SessionConfiguration,
  local: readonly TrafficSelector[],
  remote: readonly TrafficSelector[],
): boolean {
  const { localSelectors, remoteSelectors } = sessionSelectors(session);
  const localPart = narrow(local, localSelectors);
  const remotePart = narrow(remote, remoteSelectors);
  if (localPart.length === 0 || remotePart.length === 0) return false;
  return [...localPart, ...remotePart].some(
    ({ startPort, endPort }) => startPort <= session.port && session.port <= endPort,
  );
}

function sessionSelectors({
  localAddress,
  remoteAddress,
  port,
}: SessionConfiguration): ReturnType<typeof mktSelectors> {
  return mktSelectors(parseAddress(localAddress), parseAddress(remoteAddress), port);
}
