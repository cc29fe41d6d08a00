import {
  formatIdentity,
  type Identity,
  type IkePeer,
  identityKey,
  type LocalAuthentication,
  type RemoteAuthentication,
  type UdpAddress,
} from "@karp/ikev2";
import { parseAddress } from "@karp/tcp-ao";
import type { Credentials } from "./credentials.ts";
import type { ListenPlan } from "./listen.ts";
import type { NamedFiles } from "./namedFiles.ts";
import { loadPresharedKey, type PresharedKey } from "./presharedKey.ts";
import type { Report } from "./report.ts";
import type { IkeWords } from "./schema.ts";
import type { SessionLayers } from "./sessions.ts";
import { isAlone } from "./solo.ts";
import { suitesOf } from "./suites.ts";
import { ikePort, parseDuration, parseFingerprint, parseHost, parseName } from "./words.ts";

/** What peers are made from besides their sessions. */
export interface PeerContext {
  readonly localIdentity: Identity;
  readonly credentials: Credentials;
  readonly listen: ListenPlan;
  readonly files: NamedFiles;
  readonly report: Report;
}

interface PeerDraft {
  readonly layers: SessionLayers;
  readonly peer: IkePeer;
  /** Equal for sessions that say the same of their common peer: credential, and everything else. */
  readonly credential: string;
  readonly settings: string;
  readonly presharedKey?: PresharedKey;
}

/** One peer for each remote identity that the sessions name; sessions of one peer must agree about it. */
export async function peersOf(sessions: readonly SessionLayers[], context: PeerContext): Promise<readonly IkePeer[]> {
  const drafts = new Map<string, PeerDraft>();
  for (const layers of bestForIkeFirst(sessions)) {
    const identity = parseName(layers.session.peer);
    if (isAlone(layers) || !identity.ok) continue;
    const key = identityKey(identity.value);
    const earlier = drafts.get(key);
    const draft = await draftOf(layers, identity.value, context, earlier?.peer.local);
    if (draft === undefined) continue;
    if (earlier === undefined) drafts.set(key, draft);
    else compare(earlier, draft, context.report);
  }
  refuseSharedKeys([...drafts.values()], context.report);
  const place = ({ layers }: PeerDraft): number => sessions.indexOf(layers);
  return [...drafts.values()].toSorted((one, other) => place(one) - place(other)).map(({ peer }) => peer);
}

/**
 * The first session of a peer says between which addresses their IKE SA runs, and both ends have to come to the same one,
 * in whatever order they have them. One in a VRF comes last: karp's own packets do not go there.
 */
function bestForIkeFirst(sessions: readonly SessionLayers[]): readonly SessionLayers[] {
  const keyed = sessions.map((layers) => ({ layers, key: ikeOrder(layers) }));
  return keyed.toSorted((one, other) => Buffer.compare(one.key, other.key)).map(({ layers }) => layers);
}

/** VRF, the other family than the peer's address, IPv6, and the two addresses, the lower one first: it is so at both ends. */
function ikeOrder(layers: SessionLayers): Buffer {
  const { local, remote } = layers.session;
  const isIpv6 = local.includes(":");
  const flags = [isInVrf(layers), remoteOf(layers).address.includes(":") !== isIpv6, isIpv6].map(Number);
  const pair = [octetsOf(local), octetsOf(remote)].toSorted(Buffer.compare);
  return Buffer.concat([Buffer.from(flags), ...pair]);
}

/** What is no address has been reported. */
function octetsOf(text: string): Buffer {
  const host = parseHost(text);
  return Buffer.from(host.ok ? parseAddress(host.value) : []);
}

function isInVrf(layers: SessionLayers): boolean {
  return layers.pick("vrf") !== undefined;
}

async function draftOf(
  layers: SessionLayers,
  identity: Identity,
  context: PeerContext,
  localOfOtherSessions: UdpAddress | undefined,
): Promise<PeerDraft | undefined> {
  const local = context.listen.localFor(layers, localOfOtherSessions);
  const credential = await credentialOf(layers, context);
  if (credential === undefined || local === undefined) return undefined;
  const peer = {
    name: formatIdentity(identity),
    localIdentity: context.localIdentity,
    remoteIdentity: identity,
    local,
    remote: remoteOf(layers),
    localAuthentication: credential.local,
    remoteAuthentication: credential.remote,
    ...ikeSettingsOf(layers),
  };
  const settings = JSON.stringify([layers.session["peer-address"], peer.remote.port, ikeSettingsOf(layers)]);
  const { presharedKey } = credential;
  return {
    layers,
    peer,
    credential: credential.name,
    settings,
    ...(presharedKey === undefined ? {} : { presharedKey }),
  };
}

interface Credential {
  readonly name: string;
  readonly local: LocalAuthentication;
  readonly remote: RemoteAuthentication;
  readonly presharedKey?: PresharedKey;
}

async function credentialOf(layers: SessionLayers, context: PeerContext): Promise<Credential | undefined> {
  const { session } = layers;
  const { report } = context;
  const file = session["psk-file"];
  if (file !== undefined && session.fingerprint !== undefined) {
    const what = "both `psk-file` and `fingerprint` say how the peer proves itself";
    report.add("twoCredentials", [...layers.path, "fingerprint"], what, "keep one of the two", { aim: "key" });
    return undefined;
  }
  return file === undefined ? signatureCredential(layers, context) : presharedCredential(layers, file, context);
}

async function presharedCredential(
  layers: SessionLayers,
  file: string,
  context: PeerContext,
): Promise<Credential | undefined> {
  const { files, report } = context;
  const mayBeWeak = layers.session["allow-weak-psk"] ?? false;
  const key = await loadPresharedKey(files, report, file, [...layers.path, "psk-file"], mayBeWeak);
  if (key === undefined) return undefined;
  const { secret } = key;
  return {
    name: `psk ${key.digest}`,
    local: { kind: "psk", secret },
    remote: { kind: "psk", secret },
    presharedKey: key,
  };
}

function signatureCredential(layers: SessionLayers, context: PeerContext): Credential | undefined {
  const { credentials, report } = context;
  const remote = remoteSignature(layers, context);
  if (credentials.key === undefined) {
    // A private key that is named and does not load has been reported already.
    if (report.hasErrorUnder(["credentials", "private-key"])) return undefined;
    const what = `nothing to prove ourselves with to \`${layers.session.peer}\``;
    const advice = "add `credentials: { private-key: … }` (and `certificate: …`), or `psk-file: …` to the session";
    report.add("noCredential", [...layers.path, "peer"], what, advice);
    return undefined;
  }
  if (remote === undefined) return undefined;
  const { key, certificates } = credentials;
  return { name: JSON.stringify(remote), local: { kind: "signature", key, certificates }, remote };
}

function remoteSignature(layers: SessionLayers, context: PeerContext): RemoteAuthentication | undefined {
  const { credentials, report } = context;
  const { fingerprint } = layers.session;
  if (fingerprint === undefined) {
    if (credentials.trustAnchors.length > 0) return { kind: "certificate" };
    if (report.hasErrorUnder(["credentials", "trust"])) return undefined;
    const what = `nothing says how \`${layers.session.peer}\` proves itself`;
    const advice = "add `credentials: { trust: ca.pem }`, or to the session `fingerprint: sha256:…` or `psk-file: …`";
    report.add("noCredential", [...layers.path, "peer"], what, advice);
    return undefined;
  }
  const texts = typeof fingerprint === "string" ? [fingerprint] : fingerprint;
  const fingerprints = texts.flatMap((text) => {
    const digest = parseFingerprint(text);
    return digest.ok ? [digest.value] : [];
  });
  return { kind: "pinned", fingerprints };
}

function remoteOf(layers: SessionLayers): UdpAddress {
  const text = layers.session["peer-address"] ?? layers.session.remote;
  const address = parseHost(text);
  return { address: address.ok ? address.value : text, port: layers.pick("peer-port") ?? ikePort };
}

type IkeSettings = Pick<
  IkePeer,
  "suites" | "rekeyAfterSeconds" | "reauthenticateAfterSeconds" | "livenessAfterSeconds" | "releaseAfterIdleSeconds"
>;

function ikeSettingsOf(layers: SessionLayers): IkeSettings {
  const words = layers.pick("ike") ?? {};
  const seconds = (word: "rekey" | "reauthenticate" | "liveness" | "release-after", otherwise: number): number => {
    const duration = parseDuration(words[word] ?? "");
    return duration.ok ? duration.value : otherwise;
  };
  const isReleased = layers.pick("ike-sa") === "release";
  return {
    suites: suitesOf(words satisfies IkeWords),
    rekeyAfterSeconds: seconds("rekey", 8 * 3600),
    reauthenticateAfterSeconds: seconds("reauthenticate", 90 * 86_400),
    livenessAfterSeconds: seconds("liveness", 60),
    ...(isReleased ? { releaseAfterIdleSeconds: seconds("release-after", 60) } : {}),
  };
}

function compare(earlier: PeerDraft, later: PeerDraft, report: Report): void {
  const names = `\`${earlier.layers.name}\` and \`${later.layers.name}\``;
  const at = later.layers.path;
  if (earlier.credential !== later.credential) {
    const word = ["psk-file", "fingerprint"].find(
      (candidate) => Reflect.get(later.layers.session, candidate) !== undefined,
    );
    const what = `${names} disagree about how \`${later.peer.name}\` proves itself`;
    report.add(
      "credentialConflict",
      [...at, word ?? "peer"],
      what,
      "write the same `psk-file` or `fingerprint` in both, or in neither",
    );
  }
  if (earlier.settings !== later.settings) {
    const what = `${names} disagree about the IKE SA with \`${later.peer.name}\``;
    const advice =
      "write the same `peer-address`, `peer-port`, `ike` and `ike-sa` in both, or put them under `defaults:`";
    report.add("peerConflict", [...at, "peer"], what, advice);
  }
}

/** RFC 7296 section 2.15 ties a key to one pair of identities: whoever shares it with two could be either. */
function refuseSharedKeys(drafts: readonly PeerDraft[], report: Report): void {
  const owners = new Map<string, PeerDraft>();
  for (const draft of drafts) {
    if (draft.presharedKey === undefined) continue;
    const owner = owners.get(draft.presharedKey.digest);
    if (owner === undefined) {
      owners.set(draft.presharedKey.digest, draft);
      continue;
    }
    const what = `the same pre-shared key as for \`${owner.peer.name}\`: each of the two peers could pass for the other`;
    report.add(
      "sharedPsk",
      [...draft.layers.path, "psk-file"],
      what,
      "make a key of its own for each peer: head -c 32 /dev/urandom | base64 > FILE",
    );
  }
}
