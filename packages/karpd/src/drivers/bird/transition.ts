import type { DriverKey } from "../../ports/routingDriver.ts";
import { idsOf, isSameMkt } from "../keys.ts";
import type { FileKey } from "./fileKey.ts";
import { isEstablished, type ProtocolDetails } from "./protocolDetails.ts";

/** What is known before the include file is rewritten. */
export interface TransitionInput {
  /** Keys in the include file. */
  readonly file: readonly FileKey[];
  /** Whether BIRD has read the file as it stands. If not, BIRD has a subset of its keys: none may be left out yet. */
  readonly isFileActive: boolean;
  readonly target: readonly DriverKey[];
  /** Undefined: BIRD did not answer. */
  readonly protocol: ProtocolDetails | undefined;
  /** A revocation: keys go at once, even when BIRD then restarts the session. */
  readonly mayEndSession?: boolean;
}

export type Transition =
  /** Write these. `retained`: those of them that are not wanted any more, and are in use. */
  | { readonly kind: "write"; readonly keys: readonly FileKey[]; readonly retained: readonly FileKey[] }
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The next set of keys on the way to `target`. BIRD takes over added, preferred and removed keys with the session up,
 * but restarts the session when no unchanged key survives, when it has to delete a key in use without another, and when
 * every key is deprecated. So a key in use, and the last one that both sets share, stays for one more step.
 */
export function nextKeys(input: TransitionInput): Transition {
  const { file, target } = input;
  const kept = file.filter((key) => target.some((wanted) => isSameMkt(key, wanted)));
  const dropped = file.filter((key) => !kept.includes(key));
  const retained = target.length === 0 ? [] : retainedKeys(input, kept, dropped);
  const clash = retained.find((key) =>
    target.some(({ sendId, recvId }) => sendId === key.sendId || recvId === key.recvId),
  );
  if (clash !== undefined) {
    const reason = `KeyID ${idsOf(clash)} still belongs to ${clash.adminKeyName}, which BIRD uses: the new key needs other IDs`;
    return { kind: "refused", reason };
  }
  const wanted = withUsableKey(inStableOrder(kept, target), input.protocol);
  if (target.some(({ use }) => use === "preferred")) {
    return {
      kind: "write",
      keys: [...wanted, ...retained.map((key): FileKey => ({ ...key, use: "deprecated" }))],
      retained,
    };
  }
  // No wanted key may be asked for yet: the one in use, whoever made it, goes on as it is
  return { kind: "write", keys: [...retained.map((key) => inUseAs(key, input.protocol)), ...wanted], retained };
}

function inUseAs(key: FileKey, protocol: ProtocolDetails | undefined): FileKey {
  if (protocol === undefined || !isEstablished(protocol)) return key;
  return { ...key, use: key.recvId === protocol.tcpAo?.rnextRecvId ? "preferred" : "accept" };
}

/** The keys to be dropped that must stay for now. */
function retainedKeys(
  input: TransitionInput,
  kept: readonly FileKey[],
  dropped: readonly FileKey[],
): readonly FileKey[] {
  const { protocol, isFileActive } = input;
  if (input.mayEndSession === true) return [];
  if (protocol === undefined || !isFileActive) return dropped;
  if (!isEstablished(protocol)) return [];
  const inUse = dropped.filter((key) => isInUse(key, protocol));
  return kept.length > 0 || inUse.length > 0 ? inUse : dropped.slice(0, 1);
}

function isInUse(key: FileKey, { tcpAo }: ProtocolDetails): boolean {
  return key.sendId === tcpAo?.currentSendId || key.recvId === tcpAo?.rnextRecvId;
}

/** Among keys that are equally preferred BIRD takes the first: what is there already stays in front. */
function inStableOrder(kept: readonly FileKey[], target: readonly DriverKey[]): readonly FileKey[] {
  const asWanted = (key: FileKey): FileKey => fileKey(target.find((wanted) => isSameMkt(key, wanted)) ?? key);
  const added = target.filter((wanted) => !kept.some((key) => isSameMkt(key, wanted))).map(fileKey);
  return [...kept.map(asWanted), ...added];
}

function fileKey({ adminKeyName, sendId, recvId, algorithm, masterKey, use }: FileKey): FileKey {
  return { adminKeyName, sendId, recvId, algorithm, masterKey, use };
}

/** "No usable TCP-AO key": with every key deprecated BIRD takes the protocol down. The one in use is then a plain one. */
function withUsableKey(keys: readonly FileKey[], protocol: ProtocolDetails | undefined): readonly FileKey[] {
  if (keys.length === 0 || keys.some(({ use }) => use !== "deprecated")) return keys;
  const inUse = keys.find(({ recvId }) => recvId === protocol?.tcpAo?.rnextRecvId) ?? keys[0];
  return keys.map((key) => (key === inUse ? { ...key, use: "accept" } : key));
}
