/** Taking over a new set of peers. */
import { equalBytes, equalConstantTime } from "../bytes/bytes.ts";
import type { Secret } from "../bytes/secret.ts";
import { equalIdentities } from "../policy/identity.ts";
import { failAttempt } from "./attempt.ts";
import type { EngineContext } from "./context.ts";
import { scheduleRenewal } from "./establishment.ts";
import type { ExchangeFailure, IkePeer, LocalAuthentication, RemoteAuthentication, UdpAddress } from "./machine.ts";
import type { Peer } from "./peers.ts";
import { closeGracefully, removeIkeSa } from "./removal.ts";
import { failAll } from "./requests.ts";

/** Peers that are gone, or are not the same any more, lose their IKE SAs; the others only get their new settings. */
export function configure(engine: EngineContext, configs: readonly IkePeer[]): void {
  const wanted = new Map(configs.map((config) => [config.name, config]));
  for (const peer of [...engine.peers.all()]) {
    const config = wanted.get(peer.name);
    if (config === undefined) {
      dismiss(engine, peer, { reason: "peerUnknown", detail: "the peer was removed from the configuration" });
    } else if (!isSameParty(peer.config, config)) {
      dismiss(engine, peer, { reason: "ikeSaClosed", detail: "the peer's configuration changed" });
    } else {
      peer.config = config;
      for (const sa of peer.establishedIkeSas()) scheduleRenewal(engine, sa);
    }
  }
  for (const config of configs) if (engine.peers.find(config.name) === undefined) engine.peers.add(config);
}

/** Ends everything with this peer: IKE SAs with a Delete, requests with `failure`. */
export function closeAll(engine: EngineContext, peer: Peer, failure: ExchangeFailure): void {
  for (const sa of [...peer.ikeSas]) {
    if (sa === peer.attempt) failAttempt(engine, sa, failure);
    else if (sa.state.name === "judgingInitiator") removeIkeSa(engine, sa, { failure, operations: "fail" });
    else closeGracefully(engine, sa, { failure, operations: "fail" });
  }
  failAll(engine, peer.waiting.splice(0), failure);
  for (const operation of [...engine.pending.values()]) {
    if (operation.peer === peer) operation.failed(engine, failure);
  }
}

function dismiss(engine: EngineContext, peer: Peer, failure: ExchangeFailure): void {
  engine.peers.remove(peer);
  closeAll(engine, peer, failure);
}

/** What an IKE SA was built on. Suites and lifetimes take effect with the next one. */
function isSameParty(a: IkePeer, b: IkePeer): boolean {
  return (
    equalIdentities(a.localIdentity, b.localIdentity) &&
    equalIdentities(a.remoteIdentity, b.remoteIdentity) &&
    isSameAddress(a.local, b.local) &&
    isSameAddress(a.remote, b.remote) &&
    isSameCredential(a, b)
  );
}

/** Whether both ends would prove themselves as before. */
export function isSameCredential(a: IkePeer, b: IkePeer): boolean {
  return (
    isSameLocal(a.localAuthentication, b.localAuthentication) &&
    isSameRemote(a.remoteAuthentication, b.remoteAuthentication)
  );
}

function isSameAddress(a: UdpAddress, b: UdpAddress): boolean {
  return a.address === b.address && a.port === b.port;
}

function isSameLocal(a: LocalAuthentication, b: LocalAuthentication): boolean {
  if (a.kind === "psk") return b.kind === "psk" && isSameSecret(a.secret, b.secret);
  return (
    b.kind === "signature" && equalBytes(a.key.publicKey, b.key.publicKey) && isSameList(a.certificates, b.certificates)
  );
}

function isSameRemote(a: RemoteAuthentication, b: RemoteAuthentication): boolean {
  switch (a.kind) {
    case "psk":
      return b.kind === "psk" && isSameSecret(a.secret, b.secret);
    case "pinned":
      return b.kind === "pinned" && isSameList(a.fingerprints, b.fingerprints);
    case "certificate":
      return b.kind === "certificate";
  }
}

function isSameSecret(a: Secret, b: Secret): boolean {
  return a.expose((own) => b.expose((other) => equalConstantTime(own, other)));
}

function isSameList(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((item, index) => equalBytes(item, b[index] ?? new Uint8Array(0)));
}
