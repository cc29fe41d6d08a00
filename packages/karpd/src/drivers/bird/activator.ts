import { type DriverContext, delay } from "../context.ts";
import { messageOf, printable, timeOfDay } from "../text.ts";
import { type ConfigFile, ConfigFiles, type FileState, UnreadableConfig } from "./configFiles.ts";
import { BirdUnreachable, type Conversation, converse } from "./controlSocket.ts";
import { WANDER_MILLISECONDS } from "./observation.ts";
import { type ProtocolDetails, parseProtocols } from "./protocolDetails.ts";
import { lastText, type Reply } from "./replies.ts";
import { type BirdStatus, parseConfigureStatus, parseStatus, TIME_FORMAT_COMMAND } from "./status.ts";

/** What became of a request to make BIRD read its configuration again. */
export type Activation =
  | { readonly kind: "activated" }
  /** Not now: somebody else's work would be activated too, BIRD is down, or it is too early. */
  | {
      readonly kind: "pending";
      readonly reason: string;
      /** BIRD reads it by then, without being asked again. */
      readonly againAfterSeconds?: number;
    }
  /** Not before somebody changes something in the set-up. */
  | { readonly kind: "refused"; readonly reason: string };

export interface ActivatorOptions {
  readonly config: string;
  readonly intervalMilliseconds: number;
}

/** Requests that come within this time share one `configure`. */
const GATHER_MILLISECONDS = 50;
/** A shorter wait for the next `configure` is waited; a longer one is answered with "pending", and done all the same. */
const PATIENCE_MILLISECONDS = 5_000;
/** BIRD stalls while it reads: 30 MB take seconds. */
const CONFIGURE_TIMEOUT_MILLISECONDS = 300_000;
/** The kernel stamps files with a clock that lags by up to a tick; BIRD has its own. */
const FILE_CLOCK_MILLISECONDS = 25;
/** Beyond the time that reading takes: until every protocol is what the configuration says. */
const COMMIT_MILLISECONDS = 2_000;
const BUSY_POLL_MILLISECONDS = 200;
const BUSY_POLLS = 150;

/** What BIRD had after the last `configure` of karp. */
interface Snapshot {
  readonly loadedAt: number;
  readonly files: readonly ConfigFile[];
  /** Names of the protocols that were down right after; undefined where somebody else configured. */
  readonly down: ReadonlySet<string> | undefined;
}

/**
 * Makes one BIRD read its configuration: one `configure` for all that is due, not oftener than the interval, and never
 * while it would activate what somebody else has written, or cancel an undo that somebody has scheduled.
 */
export class Activator {
  readonly #context: DriverContext;
  readonly #control: string;
  #options: ActivatorOptions = { config: "/etc/bird/bird.conf", intervalMilliseconds: 60_000 };
  readonly #files = new ConfigFiles();
  #batch: Promise<Activation> | undefined;
  #running: Promise<Activation> | undefined;
  #isUrgent = false;
  #scheduled: { cancel(): void } | undefined;
  #writers = 0;
  #lastConfigureAt = Number.NEGATIVE_INFINITY;
  #snapshot: Snapshot | undefined;
  /** The last reconfiguration of somebody else of which it was tried to take a snapshot. */
  #witnessed: number | undefined;
  /** Files like those of the snapshot but for a comment. */
  readonly #equivalent = new Set<string>();
  /** How long BIRD takes to read its configuration, generously; unknown before the first `configure`. */
  #readMilliseconds = FILE_CLOCK_MILLISECONDS;
  /** The start of the BIRD of which it is known that it reads our main file: it says so only when it reads. */
  #knownStart: number | undefined;
  readonly #disabledByUs = new Set<string>();
  /** Why BIRD did not take its configuration the last time. */
  #lastRefusal: string | undefined;

  constructor(context: DriverContext, control: string) {
    this.#context = context;
    this.#control = control;
  }

  adjust(options: ActivatorOptions): void {
    this.#options = options;
  }

  /** Runs `write`; a `configure` that is about to begin waits for it. */
  async writing<T>(write: () => Promise<T>): Promise<T> {
    this.#writers++;
    try {
      return await write();
    } finally {
      this.#writers--;
    }
  }

  /** `isUrgent`: a revocation or its repair; the interval does not count. */
  activate(isUrgent = false): Promise<Activation> {
    this.#isUrgent ||= isUrgent;
    this.#batch ??= this.#gather();
    return this.#batch;
  }

  /** Whether BIRD has read this file as it is. In doubt it has not. */
  hasRead(file: FileState, status: BirdStatus): boolean {
    if (this.#snapshotOf(status) !== undefined) return this.wasIncluded(file);
    // BIRD notes the time when it has read everything, which may be long after it read this file
    return file.changedAt + this.#readMilliseconds < status.lastReconfigurationAt;
  }

  /** Whether the file was part of BIRD's configuration at the last `configure` of karp. */
  wasIncluded({ fingerprint }: FileState): boolean {
    const files = this.#snapshot?.files ?? [];
    return this.#equivalent.has(fingerprint) || files.some((file) => file.fingerprint === fingerprint);
  }

  /**
   * Somebody else has made BIRD read its configuration: what it has read, for later comparison. Not known where a file is so
   * young that it may be newer than that.
   */
  async witness({ lastReconfigurationAt }: BirdStatus): Promise<void> {
    if ([this.#witnessed, this.#snapshot?.loadedAt].some((known) => isSameMoment(known, lastReconfigurationAt))) return;
    if (this.#running !== undefined) return;
    this.#witnessed = lastReconfigurationAt;
    const before = this.#snapshot;
    const files = await this.#files.collect(this.#options.config).catch(() => []);
    const wasRead = ({ changedAt }: FileState): boolean => changedAt + this.#readMilliseconds < lastReconfigurationAt;
    const theirs = files.filter(({ isOurs }) => !isOurs);
    if (theirs.length === 0 || !theirs.every(wasRead) || this.#running !== undefined || this.#snapshot !== before)
      return;
    this.#snapshot = { loadedAt: lastReconfigurationAt, files: files.filter(wasRead), down: undefined };
    this.#equivalent.clear();
  }

  /** Only a comment has changed since BIRD has read the file. */
  noteRead(file: FileState): void {
    this.#equivalent.add(file.fingerprint);
  }

  /** Karp itself has disabled this protocol, for a revocation: a `configure` may enable it. */
  noteDisabled(protocol: string): void {
    this.#disabledByUs.add(protocol);
  }

  noteEnabled(protocol: string): void {
    this.#disabledByUs.delete(protocol);
  }

  close(): void {
    this.#scheduled?.cancel();
  }

  async #gather(): Promise<Activation> {
    const { clock } = this.#context;
    await delay(clock, GATHER_MILLISECONDS);
    while (this.#writers > 0 || this.#running !== undefined) {
      await (this.#running ?? delay(clock, GATHER_MILLISECONDS));
    }
    const wait = this.#isUrgent ? 0 : this.#untilNextConfigure();
    if (wait > 0 && wait <= PATIENCE_MILLISECONDS) {
      // In small steps: a revocation may come, and does not wait
      await delay(clock, Math.min(wait, GATHER_MILLISECONDS));
      return this.#gather();
    }
    // Whoever comes from now on may write after BIRD has read: that is the next batch
    this.#batch = undefined;
    this.#isUrgent = false;
    if (wait > 0) return this.#schedule(wait);
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What BIRD has read, if it is known. */
  #snapshotOf({ lastReconfigurationAt }: BirdStatus): Snapshot | undefined {
    return isSameMoment(this.#snapshot?.loadedAt, lastReconfigurationAt) ? this.#snapshot : undefined;
  }

  /** Milliseconds. A wall clock that was set back makes this no longer than the interval. */
  #untilNextConfigure(): number {
    const now = this.#context.clock.now();
    this.#lastConfigureAt = Math.min(this.#lastConfigureAt, now);
    return this.#lastConfigureAt + this.#options.intervalMilliseconds - now;
  }

  #schedule(wait: number): Activation {
    const { clock, log } = this.#context;
    this.#scheduled ??= clock.after(wait, () => {
      this.#scheduled = undefined;
      void this.activate().then((done) => {
        if (done.kind !== "activated") log("warning", `bird: ${done.reason}`);
      });
    });
    const seconds = this.#options.intervalMilliseconds / 1000;
    const when = `BIRD reads it at ${timeOfDay(clock.now() + wait)} (at most one configure in ${seconds} s)`;
    const reason = `${this.#lastRefusal ?? "written"}; ${when}`;
    return { kind: "pending", reason, againAfterSeconds: (wait + this.#readMilliseconds) / 1000 };
  }

  async #run(): Promise<Activation> {
    try {
      return await converse(this.#control, this.#context.clock, (bird) => this.#configure(bird));
    } catch (error) {
      if (error instanceof UnreadableConfig) return { kind: "refused", reason: error.message };
      if (error instanceof BirdUnreachable && error.isForbidden) return { kind: "refused", reason: error.message };
      return { kind: "pending", reason: messageOf(error) };
    }
  }

  async #configure(bird: Conversation): Promise<Activation> {
    await bird.ask(TIME_FORMAT_COMMAND);
    const files = await this.#files.collect(this.#options.config);
    const status = parseStatus(await bird.ask("show status"));
    if (status === undefined) return NOT_UNDERSTOOD;
    const heldBack = (await this.#heldBack(bird, status, files)) ?? (await this.#check(bird, status));
    if (heldBack !== undefined) return heldBack;
    const protocols = parseProtocols(await bird.ask("show protocols"));
    const switched = this.#switchedByPeople(status, protocols);
    if (switched !== undefined) return switched;
    // What came before may have taken long: look once more whether somebody has begun to edit, or scheduled an undo
    const again = await this.#files.collect(this.#options.config);
    const touched = again.find((file) => !file.isOurs && !files.some((known) => isSameFile(known, file)));
    if (touched !== undefined) return pendingEdit(touched);
    const late = parseStatus(await bird.ask("show status"));
    if (late === undefined) return NOT_UNDERSTOOD;
    const heldBackLate = await this.#heldBack(bird, late, again);
    if (heldBackLate !== undefined) return heldBackLate;
    const reply = await this.#read(bird, "configure");
    this.#lastConfigureAt = this.#context.clock.now();
    const failure = configureFailure(reply);
    this.#lastRefusal = failure?.reason;
    return failure ?? this.#settled(bird, again, protocols);
  }

  /** Why nothing may be activated now. */
  async #heldBack(
    bird: Conversation,
    status: BirdStatus,
    files: readonly ConfigFile[],
  ): Promise<Activation | undefined> {
    const configure = parseConfigureStatus(await bird.ask("configure status"));
    if (configure === undefined) return NOT_UNDERSTOOD;
    if (configure.undoInSeconds !== undefined) {
      const when = Number.isFinite(configure.undoInSeconds) ? ` in ${Math.round(configure.undoInSeconds)} s` : "";
      const reason = `held back: BIRD undoes its last configure${when} unless somebody runs birdc configure confirm`;
      return { kind: "pending", reason };
    }
    if (configure.isBusy || status.state !== "running") {
      const what = status.state === "shuttingDown" ? "shutting down" : "in the middle of a reconfiguration";
      return { kind: "pending", reason: `held back: BIRD is ${what}` };
    }
    return this.#editedSince(status, files);
  }

  /**
   * A `configure` makes every protocol what bird.conf says, also one that somebody has disabled or enabled with birdc since
   * the last one. BIRD does not tell who has disabled a protocol; one that bird.conf disables is down from the
   * `configure` on.
   */
  #switchedByPeople(status: BirdStatus, protocols: ReadonlyMap<string, ProtocolDetails>): Activation | undefined {
    const known = this.#snapshotOf(status)?.down;
    const settledAt = status.lastReconfigurationAt + this.#readMilliseconds + COMMIT_MILLISECONDS;
    const others = [...protocols.values()].filter(({ name }) => !this.#disabledByUs.has(name));
    const disabled = others.find(
      (one) => isDisabled(one) && (known === undefined ? (one.since ?? 0) > settledAt : !known.has(one.name)),
    );
    if (disabled !== undefined) {
      const { name, since = 0 } = disabled;
      const reason = `held back: protocol ${printable(name)} is disabled since ${timeOfDay(since)} and a configure would enable it; run birdc enable ${printable(name)}, or write \`disabled;\` into its block and run birdc configure`;
      return { kind: "pending", reason };
    }
    const enabled = others.find(({ name, state }) => state !== "down" && known?.has(name));
    if (enabled === undefined) return undefined;
    const name = printable(enabled.name);
    const reason = `held back: protocol ${name} was enabled with birdc and a configure would disable it; take \`disabled;\` out of its block and run birdc configure`;
    return { kind: "pending", reason };
  }

  #editedSince(status: BirdStatus, files: readonly ConfigFile[]): Activation | undefined {
    const theirs = files.filter(({ isOurs }) => !isOurs);
    if (theirs.length === 0) {
      return {
        kind: "refused",
        reason: `there is no ${this.#options.config}: say in \`config\` which file BIRD reads`,
      };
    }
    const edited = theirs.find(({ changedAt }) => changedAt > status.lastReconfigurationAt);
    if (edited !== undefined) return pendingEdit(edited);
    const snapshot = this.#snapshotOf(status);
    if (snapshot === undefined) return undefined;
    // We know exactly what BIRD has read
    const known = snapshot.files.filter(({ isOurs }) => !isOurs);
    const changed = theirs.find((file) => !known.some((one) => isSameFile(one, file)));
    if (changed !== undefined) return pendingEdit(changed);
    // A file that karp has taken over since, for another session, is still there
    const gone = known.find(({ path }) => !files.some((file) => file.path === path));
    return gone && { kind: "pending", reason: `held back: ${gone.path} removed, not applied; run birdc configure` };
  }

  /**
   * Which file BIRD reads shows only when it reads, and it keeps to that until it ends: `configure check` goes first once.
   * Later ones would double the time for which BIRD stalls; `configure` refuses what has an error too, and changes nothing.
   */
  async #check(bird: Conversation, { startedAt }: BirdStatus): Promise<Activation | undefined> {
    if (startedAt !== undefined && this.#knownStart === startedAt) return undefined;
    const reply = await this.#read(bird, "configure check");
    const read = mainConfigOf(reply);
    if (read?.startsWith("/") && read !== this.#options.config) {
      const reason = `BIRD reads ${printable(read)}, not ${this.#options.config}: say so in \`config\``;
      return { kind: "refused", reason };
    }
    if (reply.code !== 20) return configureFailure(reply);
    this.#knownStart = startedAt;
    return undefined;
  }

  async #read(bird: Conversation, command: "configure" | "configure check"): Promise<Reply> {
    const { clock } = this.#context;
    const startedAt = clock.now();
    const reply = await bird.ask(command, CONFIGURE_TIMEOUT_MILLISECONDS);
    this.#readMilliseconds = Math.max(100, 2 * (clock.now() - startedAt));
    return reply;
  }

  /** Waits until no protocol is restarting any more, and remembers what BIRD has read. */
  async #settled(
    bird: Conversation,
    files: readonly ConfigFile[],
    before: ReadonlyMap<string, ProtocolDetails>,
  ): Promise<Activation> {
    for (let poll = 0; poll < BUSY_POLLS; poll++) {
      const configure = parseConfigureStatus(await bird.ask("configure status"));
      if (configure?.isBusy === false) break;
      await delay(this.#context.clock, BUSY_POLL_MILLISECONDS);
    }
    // Whoever disables a protocol from here on is not bird.conf. What was down already is so still, whenever BIRD says since
    const settledAt = this.#context.clock.now() + FILE_CLOCK_MILLISECONDS;
    const wasDown = (name: string): boolean => before.get(name)?.state === "down";
    const protocols = parseProtocols(await bird.ask("show protocols")).values();
    const down = [...protocols].filter(
      (one) => isDisabled(one) && ((one.since ?? 0) <= settledAt || wasDown(one.name)),
    );
    const status = parseStatus(await bird.ask("show status"));
    if (status === undefined) return { kind: "pending", reason: "BIRD does not say whether it has reconfigured" };
    const names = new Set(down.map(({ name }) => name));
    this.#snapshot = { loadedAt: status.lastReconfigurationAt, files, down: names };
    this.#equivalent.clear();
    return { kind: "activated" };
  }
}

const NOT_UNDERSTOOD: Activation = {
  kind: "refused",
  reason: "BIRD's answer to `show status` or `configure status` is not understood",
};

/** "Reading configuration from FILE" */
export function mainConfigOf(reply: Reply): string | undefined {
  const line = reply.lines.find(({ code }) => code === 2)?.text;
  return /^Reading configuration from (.+)$/.exec(line ?? "")?.[1];
}

/** Reply codes of `configure` and `configure check`; undefined: accepted. */
function configureFailure(reply: Reply): Exclude<Activation, { readonly kind: "activated" }> | undefined {
  switch (reply.code) {
    case 3: // Reconfigured
    case 4: // Reconfiguration in progress
    case 5: // Already in progress, queued
      return undefined;
    case 6:
      return { kind: "pending", reason: "held back: BIRD is shutting down" };
    case 16:
    case 8007:
      return {
        kind: "refused",
        reason: "this control socket of BIRD is restricted: karp needs one that may configure",
      };
    case 8002:
      return { kind: "pending", reason: `held back: BIRD's configuration has an error: ${lastText(reply)}` };
    default:
      return { kind: "pending", reason: `BIRD answers ${reply.code} ${lastText(reply)}` };
  }
}

function pendingEdit(file: ConfigFile): Activation {
  const reason = `held back: ${file.path} edited ${timeOfDay(file.changedAt)}, not applied; run birdc configure`;
  return { kind: "pending", reason };
}

/** By bird.conf or by birdc. An "Error" is none of people's making, and goes by itself. */
function isDisabled({ state, info }: ProtocolDetails): boolean {
  return state === "down" && !info.startsWith("Error");
}

function isSameMoment(one: number | undefined, other: number): boolean {
  return one !== undefined && Math.abs(one - other) < WANDER_MILLISECONDS;
}

function isSameFile(a: ConfigFile, b: ConfigFile): boolean {
  return a.path === b.path && a.fingerprint === b.fingerprint;
}
