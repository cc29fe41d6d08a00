import { randomBytes } from "node:crypto";
import { Secret } from "@karp/ikev2";
import type { DriverKey, RevokeOutcome } from "../../ports/routingDriver.ts";
import { messageOf } from "../text.ts";
import { type BirdSession, enableAgain, includeTarget, keyRefusal, lookUnlessDown, notIncluded } from "./applyKeys.ts";
import { converse } from "./controlSocket.ts";
import type { FileKey } from "./fileKey.ts";
import { type IncludeTarget, includeState, readInclude, type StoredInclude } from "./includeStore.ts";
import { lookAt } from "./look.ts";
import { isEstablished, type ProtocolDetails } from "./protocolDetails.ts";
import { nextKeys } from "./transition.ts";

/**
 * Takes every key but `keep` out of BIRD, at once. Without one to keep, a random key that nobody else has takes their
 * place: the session ends and stays closed, instead of coming up without authentication. While somebody's edit or undo
 * is pending, BIRD cannot be made to forget a key; then the protocol is disabled, and enabled when BIRD has reread.
 */
export async function revokeKeys(bird: BirdSession, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
  const refusal = keyRefusal(keep);
  if (refusal !== undefined) return { kind: "failed", reason: refusal.reason };
  const target = await includeTarget(bird);
  const before = await readInclude(target.path);
  if (keep.length === 0 && before.keys.length === 0) return nothingToRevoke(bird);
  const keys = keep.length > 0 ? keptKeys(before, keep) : [closedKey(bird, before)];
  const file = { keys, isProtocolDisabled: before.isProtocolDisabled };
  await bird.memory.write(bird.activator, target, before, file);
  const look = await lookUnlessDown(bird);
  if (look.found === undefined) return { kind: "failed", reason: `${look.reason}; the file is written` };
  if (before.isProtocolDisabled) bird.activator.noteDisabled(bird.settings.protocolName);
  const activation = await bird.activator.activate(true);
  if (activation.kind !== "activated") return closeMeanwhile(bird, target, keys, activation.reason);
  if (!bird.activator.wasIncluded(await includeState(target.path))) {
    return { kind: "failed", reason: notIncluded(bird) };
  }
  return confirm(bird, target, before, keys);
}

/** The file has no key; BIRD may have one all the same, when somebody has emptied the file. Whose it is, nobody knows. */
async function nothingToRevoke(bird: BirdSession): Promise<RevokeOutcome> {
  const look = await lookUnlessDown(bird);
  const protocol = look.found?.protocol;
  if (protocol === undefined || !isEstablished(protocol) || protocol.tcpAo === undefined) return { kind: "revoked" };
  const { name, tcpAo } = protocol;
  const which = tcpAo.currentSendId === undefined ? "a key" : `SendID ${tcpAo.currentSendId}`;
  const reason = `protocol ${name} uses ${which}, which is not in ${bird.settings.include}; run birdc configure, then birdc restart ${name}`;
  return { kind: "failed", reason };
}

async function confirm(
  bird: BirdSession,
  target: IncludeTarget,
  before: StoredInclude,
  keys: readonly FileKey[],
): Promise<RevokeOutcome> {
  if (before.isProtocolDisabled) await enableAgain(bird, target, keys);
  const { protocol } = await lookAt(bird.settings, bird.context.clock);
  if (protocol === undefined || !usesOther(protocol, keys)) return { kind: "revoked" };
  return {
    kind: "failed",
    reason: `protocol ${protocol.name} still uses a revoked key; birdc restart ${protocol.name}`,
  };
}

function usesOther(protocol: ProtocolDetails, keys: readonly FileKey[]): boolean {
  if (!isEstablished(protocol) || protocol.tcpAo === undefined) return false;
  const { currentSendId, rnextRecvId } = protocol.tcpAo;
  const isKept =
    keys.some(({ sendId }) => sendId === currentSendId) && keys.some(({ recvId }) => recvId === rnextRecvId);
  return !isKept;
}

/** BIRD still has the key in memory: no connection may use it until it can be made to reread. */
async function closeMeanwhile(
  bird: BirdSession,
  target: IncludeTarget,
  keys: readonly FileKey[],
  reason: string,
): Promise<RevokeOutcome> {
  const { control, protocolName } = bird.settings;
  const reply = await converse(control, bird.context.clock, (line) => line.ask(`disable "${protocolName}"`));
  const isDisabledNow = reply.lines.some(({ code }) => code === 9);
  const isDown = isDisabledNow || reply.lines.some(({ code }) => code === 8);
  if (!isDown) return { kind: "failed", reason: `${reason}; BIRD did not disable ${protocolName} either` };
  if (isDisabledNow) {
    bird.activator.noteDisabled(protocolName);
    const stored = await readInclude(target.path);
    await bird.memory.write(bird.activator, target, stored, { keys, isProtocolDisabled: true });
    bird.context.log("warning", `bird: ${bird.session.name}: protocol ${protocolName} disabled for a revocation`);
  }
  return {
    kind: "failed",
    reason: `${reason}; meanwhile protocol ${protocolName} is disabled, so nothing uses the key`,
  };
}

function keptKeys(before: StoredInclude, keep: readonly DriverKey[]): readonly FileKey[] {
  const input = { file: before.keys, isFileActive: true, target: keep, protocol: undefined, mayEndSession: true };
  const next = nextKeys(input);
  if (next.kind === "refused") throw new RangeError(messageOf(next.reason));
  return next.keys;
}

/** A key that exists nowhere else. */
function closedKey({ session }: BirdSession, before: StoredInclude): FileKey {
  const adminKeyName = `${session.name}/closed`;
  const existing = before.keys.find((key) => key.adminKeyName === adminKeyName);
  if (existing !== undefined) return { ...existing, use: "preferred" };
  const masterKey = new Secret(Uint8Array.from(randomBytes(16)));
  const id = freeId(before);
  return { adminKeyName, sendId: id, recvId: id, algorithm: "aes-128-cmac-96", masterKey, use: "preferred" };
}

/** An ID other than the revoked keys' ones: BIRD takes a key with their IDs for a change of secret. */
function freeId({ keys }: StoredInclude): number {
  const isTaken = (id: number): boolean => keys.some(({ sendId, recvId }) => sendId === id || recvId === id);
  return Array.from({ length: 256 }, (_, id) => id).find((id) => !isTaken(id)) ?? 0;
}
