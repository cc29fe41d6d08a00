import { formatIdentity } from "@karp/ikev2";
import type { Configuration } from "./configuration.ts";

/** What makes a configuration unusable, in one sentence; undefined when nothing does. */
export function findFault({ peers, sessions }: Configuration): string | undefined {
  const twicePeer = firstTwice(peers.map(({ name }) => name));
  if (twicePeer !== undefined) return `peer ${twicePeer} stands there twice`;
  const twiceSession = firstTwice(sessions.map(({ name }) => name));
  if (twiceSession !== undefined) return `session ${twiceSession} stands there twice`;
  for (const { name, localIdentity, remoteIdentity } of peers) {
    // RFC 7296 section 2.15 leaves room for reflected messages where both ends have one identity
    if (formatIdentity(localIdentity) === formatIdentity(remoteIdentity)) return `peer ${name} has our own identity`;
  }
  const pairs = peers.map((peer) => `${formatIdentity(peer.localIdentity)} and ${formatIdentity(peer.remoteIdentity)}`);
  const twicePair = firstTwice(pairs);
  if (twicePair !== undefined) return `two peers have the identities ${twicePair}`;
  return undefined;
}

function firstTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}
