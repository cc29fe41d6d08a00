import type { IkePeer, Secret } from "@karp/ikev2";
import type { Configuration, SessionConfiguration } from "../core/configuration.ts";
import type { DaemonSettings } from "./settings.ts";

/** What a reload would change, one sentence each, sessions in alphabetical order; empty when nothing changes. No secrets. */
export function diffConfiguration(before: Configuration, after: Configuration): readonly string[] {
  const router = before.router === after.router ? [] : [`router: ${before.router} becomes ${after.router}`];
  return [...router, ...diffSessions(before, after), ...diffPeers(before, after)];
}

/** What changes of the daemon itself: where it listens, whom it lets vouch for peers. */
export function diffSettings(before: DaemonSettings, after: DaemonSettings): readonly string[] {
  const places = ({ listen }: DaemonSettings): string => listen.map(placeName).toSorted().join(", ") || "nowhere";
  const anchors = ({ trustAnchors }: DaemonSettings): string => trustAnchors.map(hex).toSorted().join();
  const changes: string[] = [];
  if (places(before) !== places(after)) changes.push(`listen: ${places(before)} becomes ${places(after)}`);
  if (anchors(before) !== anchors(after)) {
    const [then, now] = [before, after].map(({ trustAnchors }) => trustAnchors.length);
    changes.push(`trust: other authorities (${then} certificates become ${now}); IKE SAs that are up stay`);
  }
  return changes;
}

function placeName({ address, port }: DaemonSettings["listen"][number]): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function diffSessions(before: Configuration, after: Configuration): readonly string[] {
  const old = new Map(before.sessions.map((session) => [session.name, session]));
  const now = new Map(after.sessions.map((session) => [session.name, session]));
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name) => diffSession(old.get(name), now.get(name)));
}

function diffSession(
  before: SessionConfiguration | undefined,
  after: SessionConfiguration | undefined,
): readonly string[] {
  if (before === undefined) return after === undefined ? [] : [`session ${after.name} is added: ${summary(after)}`];
  if (after === undefined)
    return [`session ${before.name} is removed; its keys stay in the routing daemon: ${summary(before)}`];
  const changes = changedFields(before, after);
  return changes.length === 0 ? [] : [`session ${after.name}: ${changes.join("; ")}`];
}

function summary(session: SessionConfiguration): string {
  const { protocol, localAddress, remoteAddress, peer, driver, mode } = session;
  return `${protocol} ${localAddress} - ${remoteAddress} with ${peer}, driver ${driver}, mode ${mode}`;
}

function diffPeers(before: Configuration, after: Configuration): readonly string[] {
  const old = new Map(before.peers.map((peer) => [peer.name, peer]));
  return after.peers
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((peer) => diffPeer(old.get(peer.name), peer));
}

/** A peer comes and goes with its sessions: only what changes in one that stays is said. */
function diffPeer(before: IkePeer | undefined, after: IkePeer): readonly string[] {
  if (before === undefined) return [];
  const changes = changedFields(openPart(before), openPart(after));
  if (!sameCredential(before, after)) changes.push("credential changes: the IKE SA is made again, keys in use stay");
  return changes.length === 0 ? [] : [`peer ${after.name}: ${changes.join("; ")}`];
}

function openPart(peer: IkePeer): object {
  const { local, remote, suites, rekeyAfterSeconds, reauthenticateAfterSeconds, livenessAfterSeconds } = peer;
  const { releaseAfterIdleSeconds = "never" } = peer;
  const times = { rekeyAfterSeconds, reauthenticateAfterSeconds, livenessAfterSeconds, releaseAfterIdleSeconds };
  return {
    localAddress: `${local.address}:${local.port}`,
    remoteAddress: `${remote.address}:${remote.port}`,
    suites,
    ...times,
  };
}

function sameCredential(before: IkePeer, after: IkePeer): boolean {
  return credentialText(before) === credentialText(after) && sameSecrets(before, after);
}

function credentialText(peer: IkePeer): string {
  const { localAuthentication: local, remoteAuthentication: remote } = peer;
  const ours = local.kind === "psk" ? [] : [local.key.publicKey, ...local.certificates].map(hex);
  const theirs = remote.kind === "pinned" ? remote.fingerprints.map(hex) : [];
  return JSON.stringify([local.kind, ours, remote.kind, theirs]);
}

function sameSecrets(before: IkePeer, after: IkePeer): boolean {
  const [old, now] = [before.remoteAuthentication, after.remoteAuthentication];
  return old.kind !== "psk" || now.kind !== "psk" || equalSecrets(old.secret, now.secret);
}

function equalSecrets(a: Secret, b: Secret): boolean {
  return a.expose((x) => b.expose((y) => Buffer.compare(x, y) === 0));
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

function changedFields(before: object, after: object): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => changedField(name, Reflect.get(before, name), Reflect.get(after, name)));
}

function changedField(name: string, before: unknown, after: unknown): readonly string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isPlainObject(before) && isPlainObject(after)) {
    return changedFields(before, after).map((change) => `${words(name)} ${change}`);
  }
  return [`${words(name)} ${show(before)} becomes ${show(after)}`];
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `tcpOptions` is "tcp options" for people. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ seconds$/, " (seconds)");
}
