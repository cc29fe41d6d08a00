import { chown, stat } from "node:fs/promises";
import type { ReleaseOutcome } from "../../ports/routingDriver.ts";
import { type BirdSession, includeTarget } from "./applyKeys.ts";
import { birdAlgorithm, type FileKey } from "./fileKey.ts";
import { parseInclude, renderReleased } from "./includeFile.ts";
import { readInclude, type StoredInclude } from "./includeStore.ts";

/**
 * Leaves the include file to people: the same keys, with a head that says so. BIRD has nothing to read for that, need
 * not run, and is not asked. A file that somebody else wrote stays as it is.
 */
export async function releaseKeys(bird: BirdSession, at: string): Promise<ReleaseOutcome> {
  const { settings, session } = bird;
  const target = await includeTarget(bird);
  const stored = await readInclude(target.path);
  if (parseInclude(stored.text ?? "").kind === "ours") {
    const { uid } = await stat(target.path);
    await bird.memory.restore(bird.activator, target, renderReleased(session.name, stored.keys, at));
    // Whoever runs `karp unmanage` as root leaves the file to karp's user, as it was
    if ((await stat(target.path)).uid !== uid) await chown(target.path, uid, -1);
  }
  return { kind: "released", carryOn: carryOn(settings.include, settings.protocolName, stored) };
}

function carryOn(path: string, protocol: string, { keys, isProtocolDisabled }: StoredInclude): readonly string[] {
  const disabled = isProtocolDisabled
    ? [`karp disabled protocol ${protocol} for a revocation; once BIRD has read the file: birdc enable ${protocol}`]
    : [];
  if (keys.length === 0) return [...disabled, `${path} holds no key: the session has no authentication of karp's`];
  return [
    ...disabled,
    `the keys stay in ${path}: ${keys.map(describe).join("; ")}`,
    `to change them, edit ${path} here and its counterpart at the peer, then run: birdc configure`,
    "to roll them with the session up: add the new key at both ends and configure; mark it `preferred` and the old one" +
      " `deprecated` at both ends and configure; take the old one out once birdc show protocols all names the new one as" +
      " Current key and RNext key",
  ];
}

function describe(key: FileKey): string {
  const use = key.use === "accept" ? "" : `, ${key.use}`;
  return `send id ${key.sendId}, recv id ${key.recvId} (${birdAlgorithm(key.algorithm)}${use})`;
}
