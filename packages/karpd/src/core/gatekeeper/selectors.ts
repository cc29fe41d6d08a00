import { equalSelectors, type IkePeer, type MktTerms, mktSelectors, narrow, type TrafficSelector } from "@karp/ikev2";
import { parseAddress } from "@karp/tcp-ao";
import type { SessionConfiguration } from "../configuration.ts";
import { mktAlgorithms } from "../keytable/algorithms.ts";
import type { Association, Mkt } from "./association.ts";

export type SelectorPair = Pick<MktTerms, "localSelectors" | "remoteSelectors">;

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

/**
 * The one session of these that the selectors of a request mean. Every request has a wide range of ports, which those that
 * connections are opened from are taken of: a port that stands for itself says more. Undefined: none, or not just one.
 */
export function sessionMeant<T extends { readonly session: SessionConfiguration }>(
  sessions: readonly T[],
  local: readonly TrafficSelector[],
  remote: readonly TrafficSelector[],
): T | undefined {
  const ownPorts = [...local, ...remote].flatMap(singlePort);
  const meant = sessions.filter(
    ({ session }) => meansSession(session, local, remote) && (ownPorts.length === 0 || ownPorts.includes(session.port)),
  );
  if (meant.length < 2) return meant[0];
  const request = { localSelectors: local, remoteSelectors: remote };
  return meant.find(({ session }) => describesSame(request, sessionSelectors(session)));
}

function singlePort(selector: TrafficSelector): readonly number[] {
  return selector.kind === "range" && selector.startPort === selector.endPort ? [selector.startPort] : [];
}

/** What an MKT is for: as negotiated, or after a restart as its row says. */
export function selectorsOf({ selectors, row }: Mkt): SelectorPair {
  return selectors ?? sessionSelectors(row.protocolSpecificInfo);
}

export function describesSame(one: SelectorPair, other: SelectorPair): boolean {
  return (
    equalSelectors(one.localSelectors, other.localSelectors) &&
    equalSelectors(one.remoteSelectors, other.remoteSelectors)
  );
}

/** What is left of a request's selectors on our terms; without TS payloads, all of the terms. */
export function narrowed(
  asked: { readonly [P in keyof SelectorPair]?: SelectorPair[P] | undefined },
  terms: SelectorPair,
): SelectorPair {
  const { localSelectors, remoteSelectors } = asked;
  if (localSelectors === undefined || remoteSelectors === undefined) return terms;
  return {
    localSelectors: narrow(localSelectors, terms.localSelectors),
    remoteSelectors: narrow(remoteSelectors, terms.remoteSelectors),
  };
}

export function sessionSelectors({
  localAddress,
  remoteAddress,
  port,
}: Pick<SessionConfiguration, "localAddress" | "remoteAddress" | "port">): SelectorPair {
  return mktSelectors(parseAddress(localAddress), parseAddress(remoteAddress), port);
}
