import type { SessionConfiguration } from "../../core/configuration.ts";
import type { ApplyOutcome, DriverKey } from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { idsOf, isSameMkt, keySetFault } from "../keys.ts";
import type { Activator } from "./activator.ts";
import { staticKeysOf } from "./blockKeys.ts";
import { findProtocol } from "./configScan.ts";
import { BirdUnreachable, converse } from "./controlSocket.ts";
import { fileAccess } from "./fileGroup.ts";
import { birdAlgorithm, type FileKey } from "./fileKey.ts";
import { type IncludeTarget, includeState, readInclude, type StoredInclude } from "./includeStore.ts";
import { type Look, lookAt, obstacle } from "./look.ts";
import { hasAuthenticationFailed, isEstablished, type ProtocolDetails } from "./protocolDetails.ts";
import type { SessionMemory } from "./sessionMemory.ts";
import type { BirdSettings } from "./settings.ts";
import { nextKeys } from "./transition.ts";

/** One session of one BIRD, for as long as a call takes. */
export interface BirdSession {
  readonly context: DriverContext;
  readonly session: SessionConfiguration;
  readonly settings: BirdSettings;
  readonly activator: Activator;
  readonly memory: SessionMemory;
}

/** Everything that can go on in `apply`; errors of files and sockets are thrown. */
export async function applyKeys(bird: BirdSession, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
  const unusable = keyRefusal(keys) ?? (await kernelRefusal(bird.context, keys));
  if (unusable !== undefined) return unusable;
  const look = await lookUnlessDown(bird);
  const hindrance = look.found && obstacle(look.found, bird.session, bird.settings);
  if (hindrance !== undefined) return { kind: "refused", reason: hindrance };
  const target = await includeTarget(bird);
  const before = await adopt(bird, look, await readRepaired(bird, target), keys);
  if (before.isProtocolDisabled) bird.activator.noteDisabled(bird.settings.protocolName);
  const foreign = look.found?.protocol && foreignKey(look.found.protocol, [...before.keys, ...keys]);
  if (foreign !== undefined) return { kind: "foreign", reason: foreign };
  if (keys.length === 0 && before.keys.length > 0) return { kind: "refused", reason: NEVER_WITHOUT };
  return install(bird, { target, before, look, keys });
}

/** What somebody changed in karp's own lines, and BIRD has not read, is put back first. */
async function readRepaired(
  { activator, memory, context, session }: BirdSession,
  target: IncludeTarget,
): Promise<StoredInclude> {
  const found = await readInclude(target.path);
  if (!(await memory.repair(activator, target, found))) return found;
  context.log("warning", `bird: ${session.name}: ${target.path} was changed by somebody: put back`);
  return readInclude(target.path);
}

/**
 * Keys of TCP-AO that a person wrote into the protocol block, one of which is in use: in the include file, which stands
 * behind them, they count for the same and can be rolled away. What is there already needs no second look.
 */
async function adopt(
  bird: BirdSession,
  { found }: LookOrDown,
  before: StoredInclude,
  keys: readonly DriverKey[],
): Promise<StoredInclude> {
  const protocol = found?.protocol;
  if (protocol === undefined || foreignKey(protocol, [...before.keys, ...keys]) === undefined) return before;
  const { settings, session, context } = bird;
  const block = await findProtocol(settings.config, settings.protocolName, settings.include);
  if (block === undefined || !block.includesOurs || block.isOverruled) return before;
  const written = (await staticKeysOf(block)) ?? [];
  if (written.length === 0 || foreignKey(protocol, [...before.keys, ...written]) !== undefined) return before;
  context.log(
    "info",
    `bird: ${session.name}: adopts ${written.map(idsOf).join(", ")} of ${block.file} line ${block.line}`,
  );
  return { ...before, keys: [...before.keys, ...written] };
}

const NEVER_WITHOUT =
  "BIRD would restart the session without authentication: karp revoke ends it, or take the include line out of bird.conf first";

interface Installation {
  readonly target: IncludeTarget;
  readonly before: StoredInclude;
  readonly look: LookOrDown;
  readonly keys: readonly DriverKey[];
}

async function install(bird: BirdSession, installation: Installation): Promise<ApplyOutcome> {
  const { target, before, look, keys } = installation;
  const { activator } = bird;
  const isFileActive = look.found !== undefined && before.text !== undefined && (await isRead(bird, look.found));
  const next = nextKeys({ file: before.keys, isFileActive, target: keys, protocol: look.found?.protocol });
  if (next.kind === "refused") return next;
  const file = { keys: next.keys, isProtocolDisabled: before.isProtocolDisabled };
  bird.memory.want(keys);
  const isChanged = await bird.memory.write(activator, target, before, file);
  if (isChanged) logKeys(bird, next.keys);
  if (look.found === undefined) return { kind: "pending", reason: `${look.reason}; the keys are written` };
  const { protocol } = look.found;
  const isBroken = protocol !== undefined && hasAuthenticationFailed(protocol);
  if (isChanged || !isFileActive || isBroken) {
    if (next.keys.length === 0) return { kind: "installed" }; // only comments: nothing for BIRD to read
    const activation = await activator.activate();
    if (activation.kind !== "activated") return activation;
    if (!activator.wasIncluded(await includeState(target.path))) return { kind: "refused", reason: notIncluded(bird) };
  }
  const outcome = await verify(bird, installation, next.keys);
  const unwanted = next.retained.filter((key) => bird.memory.hasWanted(key));
  if (outcome.kind !== "installed" || unwanted.length === 0) return outcome;
  const reason = `${unwanted.map(idsOf).join(", ")} still in use: removed as soon as the peer has moved`;
  return { kind: "pending", reason };
}

/** What BIRD and the kernel have made of it: `configure` answers "Reconfigured" even when the kernel refuses a key. */
async function verify(bird: BirdSession, installation: Installation, keys: readonly FileKey[]): Promise<ApplyOutcome> {
  const { target, before } = installation;
  if (before.isProtocolDisabled) await enableAgain(bird, target, keys);
  const look = await lookAt(bird.settings, bird.context.clock);
  const hindrance = obstacle(look, bird.session, bird.settings);
  if (hindrance !== undefined) return { kind: "refused", reason: hindrance };
  const { protocol } = look;
  if (protocol === undefined || keys.length === 0) return { kind: "installed" };
  if (hasAuthenticationFailed(protocol)) return restorePrevious(bird, installation, keys);
  if (!isEstablished(protocol)) return { kind: "installed" };
  if (protocol.tcpAo === undefined) {
    return { kind: "lost", reason: `session ${bird.settings.protocolName} is up without TCP-AO: ${notIncluded(bird)}` };
  }
  const preferred = keys.find(({ use }) => use === "preferred");
  const { rnextRecvId } = protocol.tcpAo;
  if (preferred === undefined || rnextRecvId === undefined || rnextRecvId === preferred.recvId)
    return { kind: "installed" };
  return kernelRefused([preferred]);
}

/** The session went down over the new keys: BIRD gets back what it had, and the session comes up with it. */
async function restorePrevious(
  bird: BirdSession,
  { target, before }: Installation,
  keys: readonly FileKey[],
): Promise<ApplyOutcome> {
  const added = keys.filter((key) => !before.keys.some((old) => isSameMkt(old, key)));
  if (added.length > 0 && before.keys.length > 0 && before.text !== undefined) {
    bird.context.log(
      "error",
      `bird: ${bird.session.name}: BIRD took the session down over ${added.map(idsOf).join(", ")}`,
    );
    const { text } = before;
    await bird.memory.restore(bird.activator, target, text);
    await bird.activator.activate(true);
  }
  return kernelRefused(added.length > 0 ? added : keys);
}

function kernelRefused(keys: readonly FileKey[]): ApplyOutcome {
  const names = [...new Set(keys.map(({ algorithm }) => algorithm))].join(", ");
  const reason = `the kernel did not take ${keys.map(idsOf).join(", ")} (${names}), see BIRD's log: choose another algorithm, or make room for more keys (karp doctor --kernel)`;
  return { kind: "refused", reason, adminKeyNames: keys.map(({ adminKeyName }) => adminKeyName) };
}

/** Takes back the `disable` of a revocation that had to wait. */
export async function enableAgain(bird: BirdSession, target: IncludeTarget, keys: readonly FileKey[]): Promise<void> {
  const { control, protocolName } = bird.settings;
  await converse(control, bird.context.clock, (line) => line.ask(`enable "${protocolName}"`));
  bird.activator.noteEnabled(protocolName);
  const before = await readInclude(target.path);
  await bird.memory.write(bird.activator, target, before, { keys, isProtocolDisabled: false });
  bird.activator.noteRead(await includeState(target.path));
}

/** @throws IncludeFailure when nobody would be able to read the file */
export async function includeTarget({ settings, session }: BirdSession): Promise<IncludeTarget> {
  const access = await fileAccess(settings.group);
  if (!access.ok) throw new NoSuchGroup(access.reason);
  return { path: settings.include, session: session.name, access };
}

/** The setting `group` names no group of this machine. */
export class NoSuchGroup extends Error {
  override readonly name = "NoSuchGroup";
}

export function notIncluded({ settings }: BirdSession): string {
  return `the block of protocol ${settings.protocolName} in ${settings.config} needs the line: include "${settings.include}";`;
}

async function isRead(bird: BirdSession, look: Look): Promise<boolean> {
  return bird.activator.hasRead(await includeState(bird.settings.include), look.status);
}

/** What BIRD says, or why it says nothing. */
export type LookOrDown = { readonly found: Look } | { readonly found: undefined; readonly reason: string };

/** @throws BirdUnreachable when BIRD runs and karp may not talk to it */
export async function lookUnlessDown(bird: BirdSession): Promise<LookOrDown> {
  try {
    return { found: await lookAt(bird.settings, bird.context.clock) };
  } catch (error) {
    if (error instanceof BirdUnreachable && !error.isForbidden) return { found: undefined, reason: error.message };
    throw error;
  }
}

/** Why these keys can never be installed in a BIRD. */
export function keyRefusal(keys: readonly DriverKey[]): (ApplyOutcome & { readonly kind: "refused" }) | undefined {
  const fault = keySetFault(keys);
  if (fault !== undefined) return { kind: "refused", reason: fault };
  const refuse = (refused: readonly DriverKey[], reason: string) =>
    refused.length === 0
      ? undefined
      : { kind: "refused" as const, reason, adminKeyNames: refused.map(({ adminKeyName }) => adminKeyName) };
  return (
    refuse(
      keys.filter(({ coversTcpOptions }) => !coversTcpOptions),
      "BIRD always covers the TCP options and has no word for leaving them out: set tcp-options to covered at both ends",
    ) ??
    refuse(
      keys.filter(({ algorithm }) => birdAlgorithm(algorithm) === undefined),
      "BIRD cuts HMAC-SHA-256 to 96 bits, which is not hmac-sha-256-128: use aes-128-cmac-96 or hmac-sha-1-96",
    ) ??
    refuse(
      keys.filter(({ masterKey }) => masterKey.length === 0 || masterKey.length > 80),
      "a master key for BIRD has 1 to 80 octets",
    )
  );
}

/** Asked before a session is touched: an algorithm that the kernel lacks takes a BIRD session down. */
async function kernelRefusal(context: DriverContext, keys: readonly DriverKey[]): Promise<ApplyOutcome | undefined> {
  const known = await context.kernelAlgorithms?.();
  const unknown = known === undefined ? [] : keys.filter(({ algorithm }) => !known.has(algorithm));
  if (unknown.length === 0) return undefined;
  const names = [...new Set(unknown.map(({ algorithm }) => algorithm))].join(", ");
  const reason =
    known?.size === 0
      ? "this kernel has no TCP-AO (Linux 6.7 or newer with CONFIG_TCP_AO)"
      : `this kernel has no TCP-AO with ${names}`;
  return { kind: "refused", reason, adminKeyNames: unknown.map(({ adminKeyName }) => adminKeyName) };
}

/** A key in use that neither the file nor the key table knows is not ours to replace. */
function foreignKey(protocol: ProtocolDetails, known: readonly FileKey[]): string | undefined {
  if (!isEstablished(protocol)) return undefined;
  const { currentSendId, rnextRecvId } = protocol.tcpAo ?? {};
  const isForeignSend = currentSendId !== undefined && !known.some(({ sendId }) => sendId === currentSendId);
  const isForeignRecv = rnextRecvId !== undefined && !known.some(({ recvId }) => recvId === rnextRecvId);
  if (!isForeignSend && !isForeignRecv) return undefined;
  const which = isForeignSend ? `SendID ${currentSendId} as current key` : `RecvID ${rnextRecvId} as rnext key`;
  return `${protocol.name} uses ${which}, which karp did not install and finds neither in its include file nor, above the include line, in the protocol's block: take the other keys out of bird.conf`;
}

function logKeys({ context, session }: BirdSession, keys: readonly FileKey[]): void {
  const list = keys.map((key) => `${idsOf(key)} ${key.use}`).join(", ");
  context.log("info", `bird: ${session.name}: include file written with ${list || "no key"}`);
}
