import { formatIdentity, type IkePeer } from "@karp/ikev2";
import { formatProblems } from "../config/formatProblems.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { DaemonSettings, LoadResult } from "../config/settings.ts";
import { ControlClient, ControlError } from "../control/client.ts";
import type { Configuration, SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { KeyView, PeerView, SessionView } from "../core/views.ts";
import { algorithmLines } from "../doctor/algorithms.ts";
import { clockLines } from "../doctor/clock.ts";
import { isClockSynchronized } from "../doctor/clockProbe.ts";
import { credentialLines } from "../doctor/credentials.ts";
import { usesKernel } from "../doctor/kernel.ts";
import { natLine } from "../doctor/nat.ts";
import { type ProbeTimes, probePath } from "../doctor/path.ts";
import { pathLines } from "../doctor/pathLines.ts";
import { type DriverKinds, driverOptions } from "../runtime/driverSet.ts";
import { asFinding, examineSessions } from "./check.ts";
import { ofPeer, ofSession } from "./doctorLines.ts";
import { type Finding, report } from "./findings.ts";
import { CommandFailure } from "./text.ts";

export interface DoctorPeerOptions {
  readonly configurationFile: string;
  /** A peer's identity or one of its sessions. */
  readonly peer: string;
  /** Where the daemon is asked; absent: where the configuration says. */
  readonly socket?: string;
  readonly json: boolean;
  readonly driverKinds: DriverKinds;
  readonly times?: ProbeTimes;
}

/** `karp doctor PEER`: everything between here and one peer that could keep it from being keyed. */
export async function doctorPeer(options: DoctorPeerOptions): Promise<{ readonly text: string; readonly ok: boolean }> {
  const loaded = await loadConfiguration(options.configurationFile, driverOptions(options.driverKinds));
  if (!loaded.ok) {
    if (options.json) return report(loaded.problems.map(asFinding), true);
    return { text: formatProblems(loaded.problems), ok: false };
  }
  const peer = findPeer(loaded.configuration, options.peer);
  const daemon = await askDaemon(options.socket ?? loaded.daemon.control.socketPath);
  const sessions = loaded.configuration.sessions.filter((session) => session.peer === peer.name);
  const now = Date.now();
  return report(
    [
      ...pathLines(peer, await probePath(peer, options.times)),
      ...(await credentialLines(peer, loaded.daemon.trustAnchors, now)),
      ...(await sessionLines(sessions, loaded, options, daemon)),
      ...(await timeLines(peer, now, daemon)),
      ...daemonLines(peer, daemon, loaded.daemon),
    ].map(withTodo),
    options.json,
  );
}

/** What drivers and the daemon find says in its text what to do. */
function withTodo(finding: Finding): Finding {
  return finding.severity === "ok" ? { todo: "nothing to do", ...finding } : finding;
}

function findPeer({ peers, sessions }: Configuration, wanted: string): IkePeer {
  const named = sessions.find(({ name }) => name === wanted)?.peer ?? wanted;
  const found = peers.find((peer) => peer.name === named || formatIdentity(peer.remoteIdentity) === named);
  if (found !== undefined) return found;
  const known = [...peers.map(({ name }) => name), ...sessions.map(({ name }) => `session ${name}`)];
  throw new CommandFailure(
    `there is no peer or session ${wanted}; the configuration has ${known.join(", ") || "none"}`,
  );
}

interface DaemonFacts {
  readonly peers: readonly PeerView[];
  readonly sessions: readonly SessionView[];
  readonly keys: readonly KeyView[];
  readonly natSeen: readonly NatSeen[];
}

interface NatSeen {
  readonly at: string;
  readonly remote: string;
  readonly detail: string;
}

/** What the running daemon knows, or why it says nothing. */
async function askDaemon(socket: string): Promise<DaemonFacts | ControlError> {
  const client = new ControlClient(socket);
  try {
    const { natSeen } = (await client.get("/v1/status")) as Partial<DaemonFacts>;
    return {
      peers: (await client.get("/v1/peers")) as readonly PeerView[],
      sessions: (await client.get("/v1/sessions")) as readonly SessionView[],
      keys: (await client.get("/v1/keys")) as readonly KeyView[],
      natSeen: natSeen ?? [],
    };
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
}

type Loaded = Extract<LoadResult, { readonly ok: true }>;

async function sessionLines(
  sessions: readonly SessionConfiguration[],
  { configuration, daemon: { keyer } }: Loaded,
  { driverKinds }: DoctorPeerOptions,
  daemon: DaemonFacts | ControlError,
): Promise<readonly Finding[]> {
  const kernel = sessions.some(usesKernel) ? await kernelAlgorithms() : undefined;
  const keys = daemon instanceof ControlError ? undefined : daemon.keys;
  const lines = sessions.flatMap((session) =>
    algorithmLines(session, { abilities: driverKinds[session.driver], kernel, keys }),
  );
  return [...lines, ...(await examineSessions({ ...configuration, sessions }, driverKinds, keyer.socketPath))];
}

async function kernelAlgorithms(): Promise<ReadonlySet<MktAlgorithm> | undefined> {
  try {
    const { probeKernelTcpAo } = await import("@karp/tcp-ao/linux");
    return new Set(probeKernelTcpAo().algorithms);
  } catch {
    return undefined;
  }
}

async function timeLines(
  peer: IkePeer,
  nowMilliseconds: number,
  daemon: DaemonFacts | ControlError,
): Promise<readonly Finding[]> {
  const isSynchronized = await isClockSynchronized();
  if (daemon instanceof ControlError) return clockLines({ nowMilliseconds, isSynchronized, keys: [] });
  const lastFailure = daemon.peers.find((view) => view.peer === peer.name)?.lastFailure?.text;
  const facts = { nowMilliseconds, isSynchronized, keys: daemon.keys };
  return clockLines({ ...facts, ...(lastFailure === undefined ? {} : { lastFailure }) });
}

function daemonLines(peer: IkePeer, daemon: DaemonFacts | ControlError, settings: DaemonSettings): readonly Finding[] {
  if (daemon instanceof ControlError)
    return [
      {
        severity: "error",
        about: "daemon",
        text: daemon.message,
        todo: `see: karp doctor --socket ${settings.control.socketPath}`,
      },
    ];
  const isOurs = ({ peer: name }: { readonly peer: string }): boolean => name === peer.name;
  const nat = daemon.natSeen.find(({ remote }) => remote === peer.remote.address);
  const view = daemon.peers.find(isOurs);
  return [
    ...natLine(nat, view?.ikeSa === "established"),
    ...daemon.peers.filter(isOurs).map(ofPeer),
    ...daemon.sessions.filter(isOurs).map(ofSession),
  ];
}
