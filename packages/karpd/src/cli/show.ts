import { ControlClient } from "../control/client.ts";
import type { KeyTableView } from "../core/keytable/view.ts";
import type { KeyView, PeerView, RolloverView, SessionView } from "../core/views.ts";
import { CommandFailure, instant, moment, table } from "./text.ts";

export const showable = ["peers", "sessions", "keys", "rollovers", "events"] as const;
export type Showable = (typeof showable)[number];

export interface ShowOptions {
  readonly socket: string;
  readonly json: boolean;
  /** The key table in the words of RFC 7210. */
  readonly rfc7210?: boolean;
  /** Only this session. */
  readonly session?: string;
}

/** What `karp show WHAT` prints. @throws CommandFailure when there is no such session */
export async function show(what: Showable, options: ShowOptions, nowMilliseconds: number): Promise<string> {
  const client = new ControlClient(options.socket);
  const all = (await client.get(`/v1/${options.rfc7210 === true ? "keytable" : what}`)) as readonly Record<
    string,
    unknown
  >[];
  const wanted = options.session === undefined ? all : all.filter((view) => isAbout(view, options.session));
  if (options.session !== undefined && wanted.length === 0) await assertSession(client, options.session);
  if (options.json) return JSON.stringify(wanted, undefined, 2);
  if (wanted.length === 0) return NOTHING[what];
  if (what === "rollovers") {
    const sessions = (await client.get("/v1/sessions")) as readonly SessionView[];
    const keys = (await client.get("/v1/keys")) as readonly KeyView[];
    return rollovers(wanted as never, { sessions, keys }, nowMilliseconds);
  }
  if (options.rfc7210 === true) return keyTable(wanted as never);
  return TEXT[what](wanted as never, nowMilliseconds);
}

async function assertSession(client: ControlClient, wanted: string): Promise<void> {
  const names = ((await client.get("/v1/sessions")) as readonly SessionView[]).map(({ session }) => session);
  if (names.includes(wanted)) return;
  const there = names.length === 0 ? "none is configured" : `there are ${names.join(", ")}`;
  throw new CommandFailure(`there is no session ${wanted}; ${there}`);
}

const NOTHING: Readonly<Record<Showable, string>> = {
  peers: "no peers: no session is configured",
  sessions: "no session is configured",
  keys: "no keys yet; karp show rollovers says who is waited for",
  rollovers: "no session is configured",
  events: "no events yet",
};

function isAbout(view: Record<string, unknown>, session: string | undefined): boolean {
  const sessions = view["sessions"];
  return view["session"] === session || (Array.isArray(sessions) && sessions.includes(session));
}

const TEXT = { peers, sessions, keys, events } as const;

function peers(views: readonly PeerView[], now: number): string {
  const rows = views.map((view) => [
    view.remoteIdentity,
    view.remote,
    view.ikeSa,
    view.suite ?? "-",
    moment(view.establishedAt, now),
    view.lastFailure === undefined ? "-" : `${moment(view.lastFailure.at, now)} ${view.lastFailure.text}`,
  ]);
  return table(["PEER", "ADDRESS", "IKE SA", "SUITE", "SINCE", "LAST FAILURE"], rows);
}

function sessions(views: readonly SessionView[]): string {
  const rows = views.map((view) => [
    view.session,
    view.protocol,
    view.driver,
    view.mode,
    view.safe ? "safe" : "NOT SAFE",
    view.rollover.step,
    view.safety,
  ]);
  return table(["SESSION", "PROTOCOL", "DRIVER", "MODE", "SAFE?", "ROLLOVER", "WHY"], rows);
}

function keys(views: readonly KeyView[], now: number): string {
  const rows = views.map((view) => [
    view.session,
    view.state,
    String(view.sendId),
    String(view.recvId),
    `${view.algorithm}${view.coversTcpOptions ? "" : ", options not covered"}`,
    view.fingerprint,
    view.peerState,
    moment(view.history[view.state], now),
    moment(view.softExpiresAt, now),
  ]);
  return table(
    ["SESSION", "STATE", "SEND", "RECV", "ALGORITHM", "FINGERPRINT", "PEER SAYS", "SINCE", "ROLLED AT"],
    rows,
  );
}

/** The lookups of RFC 7210 section 3 stand above each row; the key itself is never shown. */
function keyTable(views: readonly KeyTableView[]): string {
  return views
    .map(({ row, isForSending, isForReceiving }) => {
      const uses = [isForSending ? "sends" : "does not send", isForReceiving ? "accepts" : "does not accept"];
      return `# now: ${uses.join(", ")}\n${row}`;
    })
    .join("\n")
    .trimEnd();
}

interface EventLine {
  readonly at: string;
  readonly severity: string;
  readonly name: string;
  readonly session?: string;
  readonly text: string;
}

function events(lines: readonly EventLine[]): string {
  return table(
    ["AT", "LEVEL", "EVENT", "SESSION", "WHAT"],
    lines.map((line) => [
      line.at,
      line.severity === "info" ? "" : line.severity,
      line.name,
      line.session ?? "-",
      line.text,
    ]),
  );
}

/** For each session in this order: safe or not; the step; who is waited for; the deadlines; what to type. */
function rollovers(views: readonly RolloverView[], { sessions: all, keys: table }: Around, now: number): string {
  return views
    .map(({ session, ...view }) => {
      const own = {
        sessions: all.filter((one) => one.session === session),
        keys: table.filter((one) => one.session === session),
      };
      return rollover({ session, ...view }, own, now);
    })
    .join("\n\n");
}

interface Around {
  readonly sessions: readonly SessionView[];
  readonly keys: readonly KeyView[];
}

function rollover(view: RolloverView, { sessions: [session], keys: own }: Around, now: number): string {
  const lines = [`${view.session}: ${session?.safe === false ? "NOT SAFE" : "safe"}: ${session?.safety ?? "-"}`];
  lines.push(
    `  step      ${view.step}${view.since === undefined ? "" : ` since ${moment(view.since, now)}`}; ${view.completed} completed`,
  );
  lines.push(...hindrances(view, own, now));
  if (view.nextAt !== undefined) lines.push(`  next      ${moment(view.nextAt, now)}`);
  if (view.softDeadline !== undefined) lines.push(`  soft      ${moment(view.softDeadline, now)}`);
  if (view.hardDeadline !== undefined) {
    lines.push(
      `  hard      ${moment(view.hardDeadline, now)}${view.atHardDeadline === undefined ? "" : `, then: ${view.atHardDeadline}`}`,
    );
  }
  if (view.peerSoftDeadline !== undefined && view.peerHardDeadline !== undefined) {
    const soft = moment(view.peerSoftDeadline, now);
    lines.push(`  peer's    soft ${soft}, hard ${moment(view.peerHardDeadline, now)}`);
  }
  if (view.nextCommand !== undefined) lines.push(`  try       ${view.nextCommand}`);
  for (const step of view.timeline) lines.push(`  ${instant(step.at)} ${step.text}`);
  return lines.join("\n");
}

/** Who is waited for, what the peer gave as reason, who froze rollovers. */
function hindrances(view: RolloverView, own: readonly KeyView[], now: number): readonly string[] {
  const lines: string[] = [];
  if (view.waitingFor !== undefined) {
    const { whom, since, reason } = view.waitingFor;
    lines.push(`  waits for ${whom} since ${moment(since, now)}${reason === "" ? "" : `: ${reason}`}`);
  }
  const unsettled = own.findLast(({ state }) => ["held", "installed", "preferred"].includes(state));
  if (unsettled?.peerReason !== undefined)
    lines.push(`  peer says ${unsettled.peerState} of key ${unsettled.fingerprint}: ${unsettled.peerReason}`);
  if (view.frozenUntil !== undefined) lines.push(`  frozen    here until ${moment(view.frozenUntil, now)}`);
  if (view.peerFrozenUntil !== undefined)
    lines.push(`  frozen    by the peer until ${moment(view.peerFrozenUntil, now)}`);
  return lines;
}
