import type { Instant, Now } from "@karp/ikev2";
import { keyTableViews } from "../keytable/view.ts";
import { formatRfc3339, later, secondsBetween, wallLater } from "../time.ts";
import type { DaemonViews, KeyView, PeerView, RolloverView, SessionView } from "../views.ts";
import { type Association, currentMkt, isAccepted, isLive, isPlaceholder, isServing, type Mkt } from "./association.ts";
import { explain, stepOf } from "./explain.ts";
import type { Gatekeeper } from "./gatekeeper.ts";
import type { Peer } from "./peer.ts";
import { nameOfState } from "./peerState.ts";
import { isOfChain } from "./solo/dates.ts";

/** Everything that `karp show` prints. */
export function makeViews(gatekeeper: Gatekeeper, now: Now): DaemonViews {
  const shown = [...gatekeeper.associations.values()].filter(
    (association) => association.isManaged || gatekeeper.unmanagedSince(association) !== undefined,
  );
  const rollovers = shown.map((association) => rolloverOf(gatekeeper, association, now));
  return {
    peers: [...gatekeeper.peers.values()].map(peerView),
    sessions: shown.map((association, index) => {
      const view = sessionView(association, rollovers[index] ?? rolloverOf(gatekeeper, association, now));
      const since = gatekeeper.unmanagedSince(association);
      return since === undefined ? view : { ...view, safety: `left to people since ${since}: karp does not look` };
    }),
    keys: [...gatekeeper.associations.values()].flatMap(({ mkts }) => mkts.map(keyView)),
    get keytable(): DaemonViews["keytable"] {
      const tables = [...gatekeeper.associations.values()].map(({ mkts }) => mkts.map(({ row }) => row));
      return tables.flatMap((rows) => keyTableViews(rows, now.wall));
    },
    rollovers,
  };
}

/** One that is left to people has a step of its own, and nothing is due. */
function rolloverOf(gatekeeper: Gatekeeper, association: Association, now: Now): RolloverView {
  const view = rolloverView(gatekeeper, association, now);
  const since = gatekeeper.unmanagedSince(association);
  if (since === undefined) return view;
  const { session, completed, timeline } = view;
  return { session, step: "unmanaged", since, completed, timeline, nextCommand: `karp manage ${session}` };
}

function peerView(peer: Peer): PeerView {
  const { config } = peer;
  return {
    peer: config.name,
    localIdentity: peer.localIdentity,
    remoteIdentity: peer.remoteIdentity,
    remote: `${config.remote.address}:${config.remote.port}`,
    ikeSa: ikeSaOf(peer),
    ...defined("role", peer.ikeSa === "established" ? peer.role : undefined),
    ...defined("suite", peer.ikeSa === "established" ? peer.suite : undefined),
    ...defined(
      "establishedAt",
      peer.ikeSa === "established" && peer.establishedAt !== undefined ? formatRfc3339(peer.establishedAt) : undefined,
    ),
    ...defined("speaksKarp", peer.speaksKarp),
    ...defined("credential", peer.credential),
    sessions: [...peer.associations].map(({ name }) => name),
    ...defined("lastFailure", lastFailureOf(peer)),
  };
}

/** Why there is no IKE SA: our own reason to refuse the peer first, which it never hears; then what came of our attempts. */
function lastFailureOf({ lastRefusal, lastFailure }: Peer): PeerView["lastFailure"] {
  const failures = [lastRefusal, lastFailure].filter((failure) => failure !== undefined);
  if (failures.length === 0) return undefined;
  const at = Math.max(...failures.map((failure) => failure.at)) as Now["wall"];
  const isSame = lastFailure !== undefined && lastRefusal?.text.endsWith(lastFailure.text) === true;
  const told = isSame ? failures.slice(0, 1) : failures;
  return { at: formatRfc3339(at), text: told.map(({ text }) => text).join("; ") };
}

function ikeSaOf({ ikeSa, associations }: Peer): PeerView["ikeSa"] {
  if (ikeSa === "established") return ikeSa;
  const isBusy = [...associations].some(
    ({ negotiation, telling }) => negotiation.name === "negotiating" || telling.sent !== undefined,
  );
  return isBusy ? "connecting" : "none";
}

function sessionView(association: Association, rollover: RolloverView): SessionView {
  const { session, watch } = association;
  const { isSafe, text } = safetyOf(association);
  const frozen = frozenText(rollover);
  const current = currentMkt(association);
  return {
    session: session.name,
    protocol: session.protocol,
    peer: session.peer,
    driver: session.driver,
    mode: session.mode,
    local: session.localAddress,
    remote: session.remoteAddress,
    safe: isSafe,
    safety: frozen === "" ? text : `${text}; ${frozen}`,
    ...defined("connections", watch.last?.observation.connections),
    ...defined("currentKey", current?.fingerprint),
    rollover,
  };
}

/** "no rollover begins here before …", of whoever froze them. */
function frozenText({ frozenUntil, peerFrozenUntil }: RolloverView): string {
  const own = frozenUntil === undefined ? [] : [`rollovers are frozen here until ${frozenUntil}`];
  const peers = peerFrozenUntil === undefined ? [] : [`the peer begins none before ${peerFrozenUntil}`];
  return [...own, ...peers].join("; ");
}

function safetyOf(association: Association): { readonly isSafe: boolean; readonly text: string } {
  const { session, preferred, revokedBecause, watch } = association;
  if (session.mode === "observe")
    return { isSafe: false, text: "mode observe: keys are negotiated and rolled, but never installed" };
  if (watch.foreign !== undefined) return { isSafe: true, text: watch.foreign.text };
  if (revokedBecause !== undefined) {
    const because = revokedBecause === "" ? "" : ` (${revokedBecause})`;
    return { isSafe: false, text: `closed: the keys were revoked${because}` };
  }
  const serving = currentMkt(association) ?? (preferred !== undefined && isServing(preferred) ? preferred : undefined);
  if (serving === undefined) {
    const isClosed = association.mkts.some((mkt) => isPlaceholder(mkt) && isLive(mkt));
    return { isSafe: false, text: isClosed ? "closed until there is a key" : "not protected: there is no key yet" };
  }
  if (!isAccepted(serving)) return { isSafe: serving.acceptance.name === "unknown", text: notAccepted(serving) };
  const expired = serving.hasExpired ? ", past its hard lifetime" : "";
  return {
    isSafe: !serving.hasExpired,
    text: `protected with key ${serving.fingerprint} (${serving.row.algorithm})${expired}`,
  };
}

function notAccepted({ acceptance, fingerprint }: Mkt): string {
  const reason =
    acceptance.name === "lost" || acceptance.name === "refused"
      ? acceptance.reason
      : "the driver has not confirmed it since the start";
  return `key ${fingerprint}: ${reason}`;
}

function rolloverView(gatekeeper: Gatekeeper, association: Association, now: Now): RolloverView {
  const explained = explain(gatekeeper.ground, association, now);
  const timed = currentMkt(association) ?? association.mkts.findLast(isServing);
  const newest = timed !== undefined && isOfChain(timed) ? timed : association.mkts.findLast(isServing);
  const isClosing = association.session.onExpiry === "fail-closed";
  return {
    session: association.name,
    step: stepOf(association, now),
    ...defined("since", explained.since),
    ...defined("waitingFor", explained.waitingFor),
    ...defined("nextAt", explained.nextAt === undefined ? undefined : wallOf(explained.nextAt, now)),
    ...defined("softDeadline", newest?.softAt === undefined ? undefined : wallOf(newest.softAt, now)),
    ...defined("hardDeadline", timed?.hardAt === undefined ? undefined : wallOf(timed.hardAt, now)),
    ...defined(
      "atHardDeadline",
      timed?.hardAt === undefined
        ? undefined
        : isClosing
          ? "the session fails closed"
          : "the key is kept, with an alarm",
    ),
    ...peerDeadlines(newest, now),
    ...defined("frozenUntil", frozenUntil(association.frozenUntil, now)),
    ...defined("peerFrozenUntil", frozenUntil(association.peer?.frozenUntil, now)),
    completed: association.completedRollovers,
    ...defined("nextCommand", explained.nextCommand),
    timeline: association.timeline.map(({ at, text }) => ({ at: formatRfc3339(at), text })),
  };
}

/** As the peer said when it took part in making the key. */
function peerDeadlines(mkt: Mkt | undefined, now: Now): Pick<RolloverView, "peerSoftDeadline" | "peerHardDeadline"> {
  const { heldAt, peerLifetime } = mkt ?? {};
  if (heldAt === undefined || peerLifetime === undefined) return {};
  const { softSeconds, hardSeconds } = peerLifetime;
  return {
    peerSoftDeadline: wallOf(later(heldAt, softSeconds), now),
    peerHardDeadline: wallOf(later(heldAt, hardSeconds), now),
  };
}

function frozenUntil(until: Instant | undefined, now: Now): string | undefined {
  return until === undefined || until <= now.monotonic ? undefined : wallOf(until, now);
}

function keyView(mkt: Mkt): KeyView {
  const { row } = mkt;
  const history = Object.entries(row.history).map(([state, at]) => [state, formatRfc3339(at)]);
  return {
    adminKeyName: row.adminKeyName,
    session: row.session,
    sendId: row.sendId,
    recvId: row.recvId,
    algorithm: row.algorithm,
    coversTcpOptions: row.protocolSpecificInfo.coversTcpOptions,
    fingerprint: mkt.fingerprint,
    state: row.state,
    createdBy: row.createdBy,
    peerIdentity: row.peerIdentity,
    ...(isOfChain(mkt) && row.sendLifetimeStart !== undefined
      ? { sendFrom: formatRfc3339(row.sendLifetimeStart), acceptFrom: formatRfc3339(row.acceptLifetimeStart) }
      : {}),
    peerState: nameOfState(row.peerState),
    ...(row.peerReason === "" ? {} : { peerReason: row.peerReason }),
    history: Object.fromEntries(history),
    ...defined("softExpiresAt", row.softExpiresAt === undefined ? undefined : formatRfc3339(row.softExpiresAt)),
    ...defined("hardExpiresAt", row.hardExpiresAt === undefined ? undefined : formatRfc3339(row.hardExpiresAt)),
  };
}

function wallOf(at: Instant, now: Now): string {
  return formatRfc3339(wallLater(now.wall, secondsBetween(now.monotonic, at)));
}

/** A field that is there, or not at all. */
function defined<K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [P in K]?: V });
}
