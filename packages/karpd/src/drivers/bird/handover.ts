import { chown, readFile, rm, stat } from "node:fs/promises";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { type Handover, HandoverFailure, type Survey, type Undo } from "../../ports/handover.ts";
import { writeSecretFile } from "../atomicFile.ts";
import type { DriverContext } from "../context.ts";
import { idsOf } from "../keys.ts";
import { errnoOf, messageOf } from "../text.ts";
import { staticKeysOf } from "./blockKeys.ts";
import { findProtocol, type ProtocolBlock } from "./configScan.ts";
import { createBirdDriver } from "./driver.ts";
import { editBlock } from "./editBlock.ts";
import type { FileKey } from "./fileKey.ts";
import { readInclude } from "./includeStore.ts";
import { type Look, lookAt, obstacle } from "./look.ts";
import { configureForPeople, refuseOthersWork } from "./peoplesConfigure.ts";
import { isEstablished } from "./protocolDetails.ts";
import { type BirdSettings, birdSettings } from "./settings.ts";

/** For `karp unmanage` and `karp migrate`. */
export function createBirdHandover(context: DriverContext): Handover {
  const driver = createBirdDriver(context);
  return {
    release: async (session, at) =>
      (await driver.release?.(session, at)) ?? { kind: "failed", reason: "this driver cannot hand over" },
    survey: (session) => saying(() => survey(context, session)),
    takeOver: (session) => saying(() => takeOver(context, session)),
    remember: (session) => saying(() => remember(context, session)),
    settle: (session) => settle(session),
  };
}

/** Every fault of files and sockets has a sentence of its own. */
async function saying<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof HandoverFailure ? error : new HandoverFailure(messageOf(error), { cause: error });
  }
}

interface Found {
  readonly settings: BirdSettings;
  readonly look: Look;
  readonly block: ProtocolBlock;
  /** People's keys of TCP-AO in the block; undefined: there are none, or they are not understood. */
  readonly inBlock: readonly FileKey[] | undefined;
  readonly inFile: readonly FileKey[];
}

async function find(context: DriverContext, session: SessionConfiguration): Promise<Found> {
  const settings = birdSettings(session);
  const look = await lookAt(settings, context.clock);
  const hindrance = obstacle(look, session, settings);
  if (hindrance !== undefined) throw new HandoverFailure(hindrance);
  const block = await findProtocol(settings.config, settings.protocolName, settings.include);
  if (block === undefined)
    throw new HandoverFailure(`there is no \`protocol bgp ${settings.protocolName}\` in ${settings.config}`);
  const inBlock = await staticKeysOf(block);
  const { keys: inFile } = await readInclude(settings.include);
  return { settings, look, block, inBlock, inFile };
}

async function survey(context: DriverContext, session: SessionConfiguration): Promise<Survey> {
  const found = await find(context, session);
  const { settings, look, block, inBlock, inFile } = found;
  const isStatic = (key: FileKey): boolean => key.adminKeyName.startsWith("static/");
  const peoples = [...inFile.filter(isStatic), ...(inBlock ?? [])];
  const edit = await editBlock(block, settings.include);
  const protection = protectionOf(found, peoples);
  const ids = idsText(peoples);
  const where = `protocol ${settings.protocolName}, ${block.file} line ${block.line}`;
  return {
    protection,
    now: `${where}: ${{ none: "no authentication", md5: "TCP MD5", static: `TCP-AO with keys of people's: ${ids}`, karp: "TCP-AO with karp's keys" }[protection]}`,
    changes: edit.changes.map((change, i) =>
      i === edit.changes.length - 1 ? `${change}; then birdc configure` : change,
    ),
    warnings: [],
    staticKeyIds: [...new Set(peoples.flatMap(({ sendId, recvId }) => [sendId, recvId]))],
    isPrepared: inFile.some((key) => !isStatic(key)),
    isUp: look.protocol !== undefined && isEstablished(look.protocol),
    leftOver:
      inBlock === undefined
        ? []
        : [`${block.file} line ${block.line}: the keys ${idsText(inBlock)} in the block may be taken out`],
  };
}

function idsText(keys: readonly FileKey[]): string {
  return [...new Set(keys.map(idsOf))].join(", ");
}

function protectionOf({ look, block, inBlock, inFile }: Found, peoples: readonly FileKey[]): Survey["protection"] {
  const tcpAo = look.protocol?.tcpAo;
  const isPeoples = peoples.some(({ sendId }) => sendId === tcpAo?.currentSendId);
  if (tcpAo !== undefined) return isPeoples ? "static" : "karp";
  if (inBlock !== undefined) return "static";
  if (block.ownAuthentication.some(({ word }) => word === "password")) return "md5";
  return block.includesOurs && inFile.length > 0 ? "karp" : "none";
}

/** Takes the password out, puts the include line in, and has BIRD read that: in this one edit and nothing else. */
async function takeOver(context: DriverContext, session: SessionConfiguration): Promise<void> {
  const { settings, block } = await find(context, session);
  const edit = await editBlock(block, settings.include);
  await refuseOthersWork(settings, context.clock);
  if (edit.text === undefined) return;
  const before = await readFile(block.file, "utf8");
  await keepCopy(settings, block.file, before);
  await replaceFile(block.file, edit.text);
  try {
    await configureForPeople(settings, context.clock);
  } catch (error) {
    await replaceFile(block.file, before);
    await rm(copyOf(settings.include), { force: true });
    throw error;
  }
}

/**
 * A command that is killed cannot put a password back; whoever finds the session down can, from this. Beside karp's own
 * file: a pattern in bird.conf might include what stands beside the block's.
 */
async function keepCopy({ include }: BirdSettings, file: string, text: string): Promise<void> {
  const copy = copyOf(include);
  if ((await stat(copy).catch((error: unknown) => absent(error))) !== undefined) {
    const back = `cp ${copy} ${file} && birdc configure puts it back; rm ${copy} when it is not needed any more`;
    throw new HandoverFailure(`${copy} is ${file} of before a migration that was killed: ${back}`);
  }
  await writeSecretFile({ path: copy, text, mode: 0o600 });
}

function copyOf(include: string): string {
  return `${include}.before-migrate`;
}

async function settle(session: SessionConfiguration): Promise<void> {
  await rm(copyOf(birdSettings(session).include), { force: true }).catch(() => undefined);
}

/** The block's file and karp's, which go back together: with one of them alone BIRD might not take its configuration. */
async function remember(context: DriverContext, session: SessionConfiguration): Promise<Undo> {
  const { settings, block } = await find(context, session);
  const include = await readFile(settings.include, "utf8").catch((error: unknown) => absent(error));
  const before = await readFile(block.file, "utf8");
  const edit = await editBlock(block, settings.include);
  return () =>
    saying(async () => {
      const now = await readFile(block.file, "utf8");
      if (now !== before && now !== edit.text) {
        const undone = `take back what was changed there: ${edit.changes.join("; ")}; then birdc configure`;
        throw new HandoverFailure(`${block.file} was edited meanwhile and stays as it is; ${undone}`);
      }
      if (include !== undefined) await replaceFile(settings.include, include);
      await replaceFile(block.file, before);
      await configureForPeople(settings, context.clock);
    });
}

function absent(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
  return undefined;
}

/** Whole or not at all, with owner, group and mode as they were. */
async function replaceFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8")) === text) return;
  const { uid, gid, mode } = await stat(path);
  await writeSecretFile({ path, text, mode: mode & 0o777, gid });
  if ((await stat(path)).uid !== uid) await chown(path, uid, gid);
}
