import { type EngineSettings, IkeEndpoint, type UdpAddress } from "@karp/ikev2";
import { type Clock, type HandedOverSocket, NodeCryptoProvider, Pump, UdpTransport } from "@karp/ikev2/node";
import { diffConfiguration, diffSettings } from "../config/diffConfiguration.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { ConfigProblem } from "../config/problem.ts";
import type { DaemonSettings, LoadResult } from "../config/settings.ts";
import type { ControlBackend, DaemonStatus, ReloadReply } from "../control/backend.ts";
import { startControlServer } from "../control/server.ts";
import type { Configuration } from "../core/configuration.ts";
import { DaemonCore } from "../core/daemonCore.ts";
import type { DaemonEvent, EventName } from "../core/events.ts";
import type { Rules } from "../core/gatekeeper/rules.ts";
import type { Command, CommandReply, DaemonEffect, DaemonInput } from "../core/machine.ts";
import type { KeyStore } from "../ports/keyStore.ts";
import { loadKeyEncryptionKey } from "../storage/keyEncryptionKey.ts";
import { openKeyStore } from "../storage/openKeyStore.ts";
import { validateChain } from "./certificates/validateChain.ts";
import { type DriverKinds, DriverSet, driverOptions } from "./driverSet.ts";
import { perform, type World } from "./effects.ts";
import { mayUseKeys } from "./entitlement.ts";
import { EventLog } from "./eventLog.ts";
import { type Logger, logEvent, logIke } from "./logger.ts";
import { NatWitness } from "./natWitness.ts";
import { ReflectionWitness } from "./reflectionWitness.ts";
import { UnknownKeyWatch } from "./unknownKeyWatch.ts";

export interface DaemonOptions {
  readonly configurationFile: string;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driverKinds: DriverKinds;
  /** UDP sockets that are bound already, all of them of `listen:`; the others are bound here. */
  readonly handedOver?: readonly HandedOverSocket[];
  /** Called before each effect is performed: tests end the process there. */
  readonly beforeEffect?: (effect: DaemonEffect) => void;
  /** Other decisions of the gatekeeper: in proofs only, to see that a fault is noticed. */
  readonly rules?: Rules;
  /** Other numbers of the IKE engine: tests retransmit faster. */
  readonly engineSettings?: Partial<EngineSettings>;
}

/** How long the end of the daemon waits for drivers that are at work. */
const LONGEST_FAREWELL_MILLISECONDS = 5000;

/** The configuration is wrong: nothing was started. */
export class ConfigurationRefused extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(refusalOf(problems));
    this.name = "ConfigurationRefused";
    this.problems = problems;
  }
}

/** Starts everything, in the order in which it may fail without harm: configuration, store, sockets, control, then keys. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const loaded = await load(options);
  if (!loaded.ok) throw new ConfigurationRefused(loaded.problems);
  const { store: place } = loaded.daemon;
  const keyEncryptionKey = await loadKeyEncryptionKey({
    path: place.keyEncryptionKeyPath,
    storePath: place.path,
    create: !place.keyEncryptionKeyIsCredential,
  });
  const store = await openKeyStore({ path: place.path, keyEncryptionKey });
  try {
    return await Daemon.start(options, loaded, store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function load(options: DaemonOptions): Promise<LoadResult> {
  return loadConfiguration(options.configurationFile, driverOptions(options.driverKinds));
}

type Loaded = Extract<LoadResult, { readonly ok: true }>;

/** A running karp. */
export class Daemon implements ControlBackend {
  readonly #options: DaemonOptions;
  readonly #store: KeyStore;
  readonly #events = new EventLog();
  readonly #nats = new NatWitness();
  readonly #unknownKeys = new UnknownKeyWatch({ onSeen: () => this.#pump.input({ kind: "unknownKeySeen" }) });
  readonly #drivers: DriverSet;
  readonly #transport: UdpTransport;
  readonly #core: DaemonCore;
  readonly #pump: Pump<DaemonInput, DaemonEffect>;
  readonly #replies = new Map<number, (reply: CommandReply) => void>();
  readonly #startedAt: string;
  /** Work of the store, the drivers and the certificate validation that has not answered yet. */
  readonly #underWay = new Map<Promise<void>, DaemonEffect["kind"]>();
  #configuration: Configuration;
  #settings: DaemonSettings;
  #lastRequestId = 0;
  #reloading: Promise<unknown> = Promise.resolve();
  #isStopping = false;
  #close: () => Promise<void> = async () => undefined;

  static async start(options: DaemonOptions, loaded: Loaded, store: KeyStore): Promise<Daemon> {
    const snapshot = await store.read();
    const daemon = new Daemon(options, loaded, store, snapshot);
    daemon.#warn(loaded.warnings);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#shutDown();
      throw error;
    }
    return daemon;
  }

  private constructor(
    options: DaemonOptions,
    loaded: Loaded,
    store: KeyStore,
    snapshot: Awaited<ReturnType<KeyStore["read"]>>,
  ) {
    this.#options = options;
    this.#store = store;
    this.#configuration = loaded.configuration;
    this.#settings = loaded.daemon;
    const now = options.clock.now();
    this.#startedAt = new Date(now.wall).toISOString();
    this.#drivers = new DriverSet(options.driverKinds, options.logger, {
      keyerSocket: loaded.daemon.keyer.socketPath,
      // A connect() is held for want of a key
      onWanted: (session) => void this.command({ kind: "wanted", session }),
    });
    this.#transport = new UdpTransport(
      (datagram) => this.#pump.input({ kind: "datagram", ...datagram }),
      (remote, error) => this.#sendFailed(remote, error),
      options.handedOver,
    );
    const crypto = new NodeCryptoProvider();
    this.#core = new DaemonCore({
      crypto,
      configuration: loaded.configuration,
      snapshot,
      now,
      drivers: { observes: (name) => this.#drivers.observes(name) },
      createIke: (policy) =>
        new ReflectionWitness(new IkeEndpoint({ crypto, policy, settings: options.engineSettings ?? {} })),
      mayUseKeys,
      ...(options.rules === undefined ? {} : { rules: options.rules }),
    });
    const world = this.#world();
    this.#pump = new Pump<DaemonInput, DaemonEffect>(
      this.#core,
      (effect) => {
        options.beforeEffect?.(effect);
        this.#follow(
          effect.kind,
          perform(effect, world, (input) => this.#pump.input(input)),
        );
      },
      options.clock,
    );
  }

  async #open(): Promise<void> {
    await this.#transport.listen(this.#settings.listen);
    const { promise: ready, resolve: isReady } = Promise.withResolvers<void>();
    const control = await startControlServer(this.#settings.control.socketPath, this, ready);
    this.#close = () => control.close();
    const { router, sessions } = this.#configuration;
    const count = `${sessions.length} session${sessions.length === 1 ? "" : "s"}`;
    this.#note("started", `karp ${this.#options.version} runs as ${router}, ${count}`);
    this.#pump.input({ kind: "timeout" });
    this.#pump.start();
    this.#unknownKeys.start();
    isReady();
  }

  /** Ends the daemon. Keys stay where they are: in the store and in the routing daemons. */
  async stop(): Promise<void> {
    this.#note("stopping", "karp stops; keys stay in place");
    await this.#shutDown();
  }

  /** What was begun is finished, within reason: what was answered is on disk, and no driver is left at half of its work. */
  async #shutDown(): Promise<void> {
    this.#isStopping = true;
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LONGEST_FAREWELL_MILLISECONDS);
    const isOver = patience.then(() => true);
    for (let late = false; !late && this.#workOf("persist").length > 0; ) {
      late = await Promise.race([Promise.all(this.#workOf("persist")).then(() => false), isOver]);
    }
    this.#unknownKeys.stop();
    this.#pump.stop();
    this.#transport.close();
    await this.#close();
    await Promise.race([Promise.all(this.#underWay.keys()), patience]);
    clearTimeout(timer);
    await this.#drivers.close();
    await this.#store.close();
  }

  #follow(kind: DaemonEffect["kind"], work: Promise<void> | undefined): void {
    if (work === undefined) return;
    this.#underWay.set(work, kind);
    void work.finally(() => this.#underWay.delete(work));
  }

  #workOf(kind: DaemonEffect["kind"]): readonly Promise<void>[] {
    return [...this.#underWay].filter(([, other]) => other === kind).map(([work]) => work);
  }

  status(): DaemonStatus {
    return {
      router: this.#configuration.router,
      version: this.#options.version,
      pid: process.pid,
      startedAt: this.#startedAt,
      configurationFile: this.#options.configurationFile,
      listening: this.#transport.addresses,
      natSeen: this.#nats.seen,
    };
  }

  views(): ReturnType<DaemonCore["views"]> {
    return this.#core.views(this.#options.clock.now());
  }

  events(limit: number): ReturnType<EventLog["newest"]> {
    return this.#events.newest(limit);
  }

  subscribe(listener: Parameters<EventLog["subscribe"]>[0]): () => void {
    return this.#events.subscribe(listener);
  }

  driverStatistics(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return this.#drivers.statistics();
  }

  command(command: Command): Promise<CommandReply> {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId;
    return new Promise((resolve) => {
      this.#replies.set(requestId, resolve);
      this.#pump.input({ kind: "command", requestId, command });
    });
  }

  /** One after the other: two at once would bind the same sockets, and the older reading could come out on top. */
  reload(): Promise<ReloadReply> {
    const reloading = this.#reloading.then(() => this.#reload());
    this.#reloading = reloading.catch(() => undefined);
    return reloading;
  }

  async #reload(): Promise<ReloadReply> {
    const prepared = await this.#prepareReload();
    if (!prepared.ok) return { ok: false, text: `nothing was changed: ${prepared.why}` };
    const { loaded, changes } = prepared;
    // First, as drivers will ask it for what the configuration has now
    const ofKeyer = await this.#reloadKeyer(loaded);
    try {
      await this.#transport.listen(loaded.daemon.listen);
    } catch (error) {
      return { ok: false, text: `nothing was changed: ${error instanceof Error ? error.message : String(error)}` };
    }
    if (this.#isStopping) {
      this.#transport.close();
      return { ok: false, text: "nothing was changed: karp is being stopped" };
    }
    this.#configuration = loaded.configuration;
    this.#settings = loaded.daemon;
    this.#pump.input({ kind: "reconfigure", configuration: loaded.configuration });
    const text = changes.length === 0 ? "nothing has changed" : `${changes.length} change(s) took effect`;
    this.#note("configured", text);
    this.#warn(loaded.warnings);
    return { ok: true, text: ofKeyer === undefined ? text : `${text}; ${ofKeyer}`, changes };
  }

  /** @returns what people should know of it */
  async #reloadKeyer({ configuration }: Loaded): Promise<string | undefined> {
    try {
      await this.#drivers.reloadKeyer(configuration.sessions);
      return undefined;
    } catch (error) {
      const text = `karp keyer has not read it: ${error instanceof Error ? error.message : String(error)}`;
      this.#options.logger.warn(text);
      return text;
    }
  }

  async pendingChanges(): Promise<ReloadReply> {
    const prepared = await this.#prepareReload();
    if (!prepared.ok) return { ok: false, text: `a reload would be refused: ${prepared.why}` };
    const { changes } = prepared;
    return {
      ok: true,
      text: changes.length === 0 ? "a reload would change nothing" : `a reload would make ${changes.length} change(s)`,
      changes,
    };
  }

  async #prepareReload(): Promise<
    { ok: true; loaded: Loaded; changes: readonly string[] } | { ok: false; why: string }
  > {
    if (this.#isStopping) return { ok: false, why: "karp is being stopped" };
    const loaded = await load(this.#options);
    if (!loaded.ok) {
      return { ok: false, why: refusalOf(loaded.problems) };
    }
    const fixed = immovable(this.#settings, loaded.daemon);
    if (fixed !== undefined) return { ok: false, why: `${fixed} takes effect with a restart (keys stay in place)` };
    const changes = [
      ...diffConfiguration(this.#configuration, loaded.configuration),
      ...diffSettings(this.#settings, loaded.daemon),
    ];
    return { ok: true, loaded, changes };
  }

  #world(): World {
    const { logger } = this.#options;
    return {
      store: this.#store,
      send: (local, remote, data) => this.#transport.send(local, remote, data),
      driverOf: (session) => this.#drivers.driverOf(session),
      validateCertificate: async (chain, remoteIdentity) =>
        await validateChain({
          chain,
          trustAnchors: this.#settings.trustAnchors,
          remoteIdentity,
          at: new Date(this.#options.clock.now().wall),
        }),
      event: (event) => this.#record(event),
      log: (event) => {
        this.#nats.hear(event, this.#configuration.peers, this.#options.clock.now().wall);
        logIke(logger, event);
      },
      reply: (requestId, reply) => {
        this.#replies.get(requestId)?.(reply);
        this.#replies.delete(requestId);
      },
    };
  }

  #record(event: DaemonEvent): void {
    this.#events.add(event);
    logEvent(this.#options.logger, event);
  }

  #note(name: EventName, text: string): void {
    this.#record({ name, at: this.#options.clock.now().wall, severity: "info", text, data: {} });
  }

  /** What the configuration says that is allowed, and perhaps not wise. */
  #warn(warnings: readonly ConfigProblem[]): void {
    for (const { file, line, column, what, advice } of warnings)
      this.#options.logger.warn({ place: `${file}:${line}:${column}` }, `${what}; ${advice}`);
  }

  #sendFailed(remote: UdpAddress, error: Error): void {
    this.#options.logger.warn(
      { remote: `${remote.address}:${remote.port}` },
      `an IKE message could not be sent: ${error.message}`,
    );
  }
}

/** The first error in full, and how many more there are; warnings refuse nothing. */
function refusalOf(problems: readonly ConfigProblem[]): string {
  const [first, ...more] = problems.filter(({ severity }) => severity === "error");
  if (first === undefined) return "the file cannot be used";
  const rest = more.length === 0 ? "" : ` (and ${more.length} more: \`karp check\` shows them all)`;
  return `${first.file}:${first.line}:${first.column} ${first.what}; ${first.advice}${rest}`;
}

/** What a reload cannot move under a running daemon. */
function immovable(now: DaemonSettings, wanted: DaemonSettings): string | undefined {
  if (now.store.path !== wanted.store.path) return "another `store:`";
  if (now.store.keyEncryptionKeyPath !== wanted.store.keyEncryptionKeyPath) return "another key-encryption key";
  if (now.control.socketPath !== wanted.control.socketPath) return "another `control:` path";
  if (now.keyer.socketPath !== wanted.keyer.socketPath) return "another `keyer:` path";
  return undefined;
}
