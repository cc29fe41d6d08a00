// karp run, with one fault built in: node faultyDaemon.ts FAULT CONFIGURATION. What the fault is for: demo.test.ts.
import { Secret } from "@karp/ikev2";
import { systemClock } from "@karp/ikev2/node";
import { loadConfiguration } from "../../src/config/loadConfiguration.ts";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { defaultRules, type Rules } from "../../src/core/gatekeeper/rules.ts";
import { drivers, type RegisteredDriver } from "../../src/drivers/index.ts";
import type { DriverKey, ObserveOutcome } from "../../src/ports/routingDriver.ts";
import { type Daemon, startDaemon } from "../../src/runtime/daemon.ts";
import { type DriverKinds, driverOptions } from "../../src/runtime/driverSet.ts";
import { createLogger } from "../../src/runtime/logger.ts";
import { loadKeyEncryptionKey } from "../../src/storage/keyEncryptionKey.ts";
import { openKeyStore } from "../../src/storage/openKeyStore.ts";
import { makeRow } from "../storage/rows.ts";

type Wrap = (driver: RegisteredDriver) => Partial<RegisteredDriver>;

interface Fault {
  readonly rules?: Partial<Rules>;
  readonly driver?: Wrap;
  /** Before the start: the first SendIDs are taken here and not there, so that SendIDs and RecvIDs differ. */
  readonly shiftsSendIds?: true;
}

const LATE_MILLISECONDS = 8000;

const faults: Readonly<Record<string, Fault>> = {
  none: {},
  shifted: { shiftsSendIds: true },
  swapped: { driver: swapped },
  readyTooEarly: { driver: lateAfterTheFirst },
  neverReady: { rules: { mayTellReady: () => false } },
  corrupted: { driver: corruptedAfterTheFirst },
  closing: { driver: closingOnce },
};

/** The routing daemon is told the SendID for the RecvID, and the other way round. */
function swapped(driver: RegisteredDriver): Partial<RegisteredDriver> {
  const swap = (key: DriverKey): DriverKey => ({ ...key, sendId: key.recvId, recvId: key.sendId });
  return {
    apply: (session, keys) => driver.apply(session, keys.map(swap)),
    observe: (session) => blind(driver, session),
  };
}

/** What the driver sees without the KeyIDs that it has: else karp would notice the fault, and use no such key. */
async function blind(driver: RegisteredDriver, session: SessionConfiguration): Promise<ObserveOutcome> {
  const outcome = await driver.observe(session);
  if (outcome.kind === "unavailable") return outcome;
  const { recvIdsPresent: _hidden, ...observation } = outcome.observation;
  return { kind: "observed", observation };
}

/** The second key and later ones are called installed at once, and get in a good while later. */
function lateAfterTheFirst(driver: RegisteredDriver): Partial<RegisteredDriver> {
  const known = new Set<string>();
  return {
    apply: async (session, keys) => {
      const isFirst = known.size === 0;
      const late = keys.filter(({ adminKeyName }) => !isFirst && !known.has(adminKeyName));
      if (late.length === 0) {
        for (const { adminKeyName } of keys) known.add(adminKeyName);
        return await driver.apply(session, keys);
      }
      setTimeout(() => {
        for (const { adminKeyName } of late) known.add(adminKeyName);
      }, LATE_MILLISECONDS).unref();
      return { kind: "installed" };
    },
    observe: (session) => blind(driver, session),
  };
}

/** One bit of each key but the first is turned on its way into the driver. */
function corruptedAfterTheFirst(driver: RegisteredDriver): Partial<RegisteredDriver> {
  const corrupted = new Map<string, DriverKey["masterKey"]>();
  let first: string | undefined;
  const corrupt = (key: DriverKey): DriverKey => {
    first ??= key.adminKeyName;
    if (key.adminKeyName === first) return key;
    const masterKey =
      corrupted.get(key.adminKeyName) ??
      key.masterKey.expose((octets) => new Secret(octets.map((octet, index) => (index === 0 ? octet ^ 1 : octet))));
    corrupted.set(key.adminKeyName, masterKey);
    return { ...key, masterKey };
  };
  return { apply: (session, keys) => driver.apply(session, keys.map(corrupt)) };
}

/** The connection is closed in the middle of it, without a word to the peer; the keys are there again at once. */
function closingOnce(driver: RegisteredDriver): Partial<RegisteredDriver> {
  let isClosed = false;
  return {
    apply: async (session, keys) => {
      const isRollover = keys.length > 1;
      const outcome = await driver.apply(session, keys);
      const isConnected = (driver.statistics?.()[session.name]?.["segmentsVerified"] ?? 0) > 0;
      if (isClosed || !isRollover || !isConnected) return outcome;
      isClosed = true;
      await driver.revoke(session, []);
      return await driver.apply(session, keys);
    },
  };
}

function withFault(wrap: Wrap): DriverKinds {
  const { endpoint } = drivers;
  return {
    ...drivers,
    endpoint: {
      ...endpoint,
      create: (context) => {
        const driver = endpoint.create(context);
        const changed = wrap(driver);
        return new Proxy<RegisteredDriver>(driver, {
          get: (target, name) => {
            const member: unknown = Reflect.get(name in changed ? changed : target, name, target);
            return typeof member === "function" ? member.bind(target) : member;
          },
        });
      },
    },
  };
}

/** MKTs of a session that is no longer configured keep their KeyIDs: more of them than the demo has keys at a time. */
async function takeFirstSendIds(configurationFile: string): Promise<void> {
  const loaded = await loadConfiguration(configurationFile, driverOptions(drivers));
  if (!loaded.ok) throw new Error("the configuration is wrong");
  const { path, keyEncryptionKeyPath } = loaded.daemon.store;
  const { router, sessions } = loaded.configuration;
  const keyEncryptionKey = await loadKeyEncryptionKey({ path: keyEncryptionKeyPath, storePath: path, create: true });
  const store = await openKeyStore({ path, keyEncryptionKey });
  const rows = [1, 2, 3, 4, 5, 6, 7, 8].map((sendId) =>
    makeRow({
      adminKeyName: `former/00112233445566a${sendId}`,
      session: "former",
      sendId,
      recvId: 200 + sendId,
      localIdentity: router,
      peerIdentity: sessions[0]?.peer ?? "",
    }),
  );
  await store.write(rows.map((row) => ({ kind: "put", row })));
  await store.close();
}

async function run(fault: Fault, configurationFile: string): Promise<Daemon> {
  if (fault.shiftsSendIds) await takeFirstSendIds(configurationFile);
  return await startDaemon({
    configurationFile,
    version: "0.0.0-faulty",
    clock: systemClock,
    logger: createLogger("error"),
    driverKinds: fault.driver === undefined ? drivers : withFault(fault.driver),
    rules: { ...defaultRules, ...fault.rules },
  });
}

const [, , name = "", configurationFile = ""] = process.argv;
const fault = faults[name];
if (fault === undefined) throw new Error(`no such fault: ${name}`);
const daemon = await run(fault, configurationFile);
const stop = (): void => void daemon.stop().then(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("disconnect", stop);
