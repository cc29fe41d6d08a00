import { lstat } from "node:fs/promises";
import { dirname } from "node:path";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverFinding } from "../../ports/routingDriver.ts";
import { directoryFault, LinkInPlace } from "../atomicFile.ts";
import { idsOf } from "../keys.ts";
import { errnoOf, messageOf, printable } from "../text.ts";
import { mainConfigOf } from "./activator.ts";
import { type BirdSession, notIncluded } from "./applyKeys.ts";
import { staticKeysOf } from "./blockKeys.ts";
import { findProtocol, type ProtocolBlock } from "./configScan.ts";
import { converse } from "./controlSocket.ts";
import { fileAccess } from "./fileGroup.ts";
import { birdAlgorithm } from "./fileKey.ts";
import { readInclude } from "./includeStore.ts";
import { lookAt, obstacle, versionObstacle } from "./look.ts";
import { lastText } from "./replies.ts";

/** Everything about the set-up of one session that can be seen without changing anything. */
export async function examineSession(bird: BirdSession): Promise<readonly DriverFinding[]> {
  const checks = [checkWishes, checkBird, checkBlock, checkInclude, checkMainConfig];
  const found: DriverFinding[] = [];
  for (const check of checks) found.push(...(await check(bird).catch((failure) => [error(messageOf(failure))])));
  if (found.every(({ severity }) => severity !== "error")) {
    const isObserveOnly = found.some(({ text }) => text.endsWith(OBSERVE_ONLY));
    const text = `BIRD protocol ${bird.settings.protocolName} is ready for ${isObserveOnly ? "mode observe" : "karp"}`;
    found.push({ severity: "ok", text });
  }
  return found.filter(({ text }, index) => found.findIndex((other) => other.text === text) === index);
}

/** Algorithms and options that BIRD and this kernel can do. */
async function checkWishes({ session, context }: BirdSession): Promise<readonly DriverFinding[]> {
  const found: DriverFinding[] = [];
  const usable = session.algorithms.filter((algorithm) => birdAlgorithm(algorithm) !== undefined);
  if (usable.length < session.algorithms.length) {
    const text = "BIRD cuts HMAC-SHA-256 to 96 bits: take hmac-sha-256-128 out of the session's algorithms";
    found.push(error(text));
  }
  if (session.tcpOptions.includes("omitted")) {
    found.push(error("BIRD always covers the TCP options: set tcp-options to covered"));
  }
  const kernel = await context.kernelAlgorithms?.();
  if (kernel?.size === 0) {
    const text = "this kernel has no TCP-AO: Linux 6.7 or newer with CONFIG_TCP_AO is needed";
    return [...found, neededToInstall(session, text)];
  }
  const missing = kernel === undefined ? [] : usable.filter((algorithm) => !kernel.has(algorithm));
  const text = (algorithm: string): string => `this kernel has no TCP-AO with ${algorithm}`;
  return [...found, ...missing.map((algorithm) => neededToInstall(session, text(algorithm)))];
}

const OBSERVE_ONLY = "(mode observe works without)";

/** Without it no key can be used; mode observe uses none. */
function neededToInstall({ mode }: SessionConfiguration, text: string): DriverFinding {
  if (mode !== "observe") return error(text);
  return { severity: "warning", text: `${text} ${OBSERVE_ONLY}` };
}

async function checkBird({ settings, context, session }: BirdSession): Promise<readonly DriverFinding[]> {
  const look = await lookAt(settings, context.clock);
  const tooOld = versionObstacle(look);
  if (tooOld !== undefined) return [neededToInstall(session, tooOld)];
  const hindrance = obstacle(look, session, settings);
  return hindrance === undefined ? [] : [error(hindrance)];
}

async function checkBlock(bird: BirdSession): Promise<readonly DriverFinding[]> {
  const { settings } = bird;
  const block = await findProtocol(settings.config, settings.protocolName, settings.include);
  if (block === undefined) {
    return [error(`there is no \`protocol bgp ${settings.protocolName}\` in ${settings.config} and what it includes`)];
  }
  const where = `${block.file} line ${block.line}`;
  const found: DriverFinding[] = [];
  if (block.isDynamic)
    found.push(error(`${where}: BIRD has no TCP-AO on a neighbor range; give this peer its own block`));
  if (!block.includesOurs) found.push(error(`${where}: ${notIncluded(bird)} (on a line of its own)`));
  return [...found, ...(await checkOwnAuthentication(bird, block))];
}

/** Keys of TCP-AO that a person wrote are adopted; a password is in the way. */
async function checkOwnAuthentication(bird: BirdSession, block: ProtocolBlock): Promise<readonly DriverFinding[]> {
  const { session } = bird;
  const own = block.ownAuthentication;
  const [first] = own;
  if (first === undefined) return [];
  const where = `${first.file} line ${first.line}`;
  const adopted = await staticKeysOf(block);
  if (adopted === undefined) {
    const words = [...new Set(own.map(({ word }) => `\`${word}\``))].join(" and ");
    return [
      error(`${where}: ${words} in the block collides with karp's include file; karp migrate ${session.name} moves it`),
    ];
  }
  if (block.isOverruled) {
    return [
      error(
        `${where}: the keys in the block stand behind karp's include line and overrule it: move that line below them`,
      ),
    ];
  }
  const ids = adopted.map(idsOf).join(", ");
  const { keys } = await readInclude(bird.settings.include);
  const text =
    keys.length > 0
      ? `${where}: the keys ${ids} in the block have no effect beside karp's include file: take them out`
      : `${where}: the keys ${ids} in the block are used until karp has rolled to its own`;
  return [{ severity: "warning", text }];
}

async function checkInclude({ settings }: BirdSession): Promise<readonly DriverFinding[]> {
  const { include } = settings;
  const access = await fileAccess(settings.group);
  const found: DriverFinding[] = access.ok ? [] : [error(access.reason)];
  if (/^\/(run|tmp|dev\/shm|var\/run|var\/tmp)\//.test(include)) {
    const text = `${include} does not survive a reboot, and BIRD does not start without it: keep it in /var/lib/karp`;
    found.push({ severity: "warning", text });
  }
  const status = await lstat(include).catch((failure: unknown) => errnoOf(failure) ?? "unknown error");
  if (status === "ENOENT") {
    return [
      ...found,
      error(
        `${include} is missing and BIRD refuses to start without it: create it empty: install -m 640 -g bird /dev/null ${include}`,
      ),
    ];
  }
  if (typeof status === "string")
    return [...found, error(`cannot look at ${include} (${status}) in ${dirname(include)}`)];
  if (status.isSymbolicLink()) return [...found, error(new LinkInPlace(include).message)];
  const unsafe = await directoryFault(dirname(include));
  if (unsafe !== undefined) found.push(error(unsafe));
  if ((status.mode & 0o007) !== 0) {
    found.push(error(`${include} can be read by everybody: chmod 0640 ${include}`));
  }
  if (access.ok && access.gid !== undefined && status.gid !== access.gid) {
    found.push({
      severity: "warning",
      text: `${include} has another group than BIRD's: chgrp ${settings.group ?? "bird"} ${include}`,
    });
  }
  await readInclude(include);
  return found;
}

/** Which file BIRD reads, and whether it would take it as it stands. */
async function checkMainConfig({ settings, context }: BirdSession): Promise<readonly DriverFinding[]> {
  const reply = await converse(settings.control, context.clock, (bird) => bird.ask("configure check", 300_000));
  const read = mainConfigOf(reply);
  if (reply.code === 8007 || reply.code === 16) {
    return [error(`${settings.control} is restricted: karp needs a control socket that may configure`)];
  }
  if (read !== undefined && read !== settings.config) {
    return [error(`BIRD reads ${printable(read)}, not ${settings.config}: say so in \`config\``)];
  }
  if (reply.code === 20) return [];
  return [{ severity: "warning", text: `BIRD would not take its configuration as it stands: ${lastText(reply)}` }];
}

function error(text: string): DriverFinding {
  return { severity: "error", text };
}
