import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "@karp/ikev2/node";
import pino from "pino";
import { stringify } from "yaml";
import { makeDemoCertificates } from "../../src/cli/demo/certificates.ts";
import type { Showable } from "../../src/cli/show.ts";
import { show } from "../../src/cli/show.ts";
import { ControlClient } from "../../src/control/client.ts";
import type { DaemonEvent, EventName } from "../../src/core/events.ts";
import type { DaemonViews, KeyView, RolloverView, SessionView } from "../../src/core/views.ts";
import { drivers } from "../../src/drivers/index.ts";
import { type Daemon, type DaemonOptions, startDaemon } from "../../src/runtime/daemon.ts";
import { karp } from "../program.ts";

export type Words = Readonly<Record<string, unknown>>;

/** A key lives for an hour, and everything that follows a rollover takes a second. */
const ROLLOVER: Words = { every: "1h", drain: "1s", "keep-old": "1s", settle: "1s", quarantine: "2s" };

/** Three tries in a third of a second: a silent peer is noticed at once. */
export const HASTY = { retransmission: { firstSeconds: 0.1, factor: 1.2, tries: 3 } } as const;

/** Two routers, r1 and r2, on loopback addresses that no other test has: one session, certificates of one authority. */
export class Site {
  readonly folder: string;
  readonly r1: Router;
  readonly r2: Router;

  private constructor(folder: string, ends: readonly [End, End]) {
    this.folder = folder;
    const [one, two] = ["r1.test.example", "r2.test.example"] as const;
    const certificates = makeDemoCertificates([one, two], Date.now());
    const [first, second] = ends;
    this.r1 = new Router({ home: join(folder, "r1"), identity: one, peer: two, self: first, other: second });
    this.r2 = new Router({ home: join(folder, "r2"), identity: two, peer: one, self: second, other: first });
    for (const [index, router] of [this.r1, this.r2].entries()) {
      const { certificate = "", privateKey = "" } = certificates.routers[index] ?? {};
      router.file("ca.pem", certificates.authority);
      router.file("certificate.pem", certificate);
      router.file("private.key", privateKey);
    }
  }

  static async create(t: TestContext): Promise<Site> {
    const folder = mkdtempSync(join(tmpdir(), "karp-site-"));
    const network = `127.${randomInt(1, 255)}.${randomInt(0, 256)}`;
    const site = new Site(folder, [await endAt(`${network}.1`), await endAt(`${network}.2`)]);
    t.after(async () => {
      await Promise.all([site.r1.stop(), site.r2.stop()]);
      rmSync(folder, { recursive: true, force: true });
    });
    return site;
  }

  /** Both, with the same changes to the session, until the first key is in use at both ends. */
  async keyed(session: Words = {}, options: StartOptions = {}): Promise<this> {
    for (const router of [this.r1, this.r2]) router.configure({ session });
    await Promise.all([this.r1.start(options), this.r2.start(options)]);
    await Promise.all([this.r1.current(), this.r2.current()]);
    return this;
  }
}

export interface End {
  readonly address: string;
  readonly ike: number;
  readonly segments: number;
}

export async function endAt(address: string): Promise<End> {
  const [ike = 0, segments = 0] = await freePorts(address, 2);
  return { address, ike, segments };
}

interface Place {
  readonly home: string;
  readonly identity: string;
  /** Identity of the router at the other end. */
  readonly peer: string;
  readonly self: End;
  readonly other: End;
}

export type StartOptions = Partial<
  Pick<DaemonOptions, "clock" | "rules" | "engineSettings" | "beforeEffect" | "driverKinds">
>;

/** One router: its files, its daemon in this process or in one of its own, and everything that was heard of it. */
export class Router {
  readonly home: string;
  readonly identity: string;
  readonly otherIdentity: string;
  readonly self: End;
  readonly other: End;
  readonly session = "bgp1";
  readonly configurationFile: string;
  readonly socket: string;
  readonly client: ControlClient;
  /** Log at level debug, one JSON object a line, of all the daemons that ran here. */
  log = "";
  events: DaemonEvent[] = [];
  #daemon: Daemon | undefined;
  #starting: Promise<unknown> | undefined;
  #words: { top: Words; session: Words } = { top: {}, session: {} };

  constructor({ home, identity, peer, self, other }: Place) {
    this.home = home;
    this.identity = identity;
    this.otherIdentity = peer;
    this.self = self;
    this.other = other;
    mkdirSync(home, { recursive: true, mode: 0o700 });
    this.configurationFile = join(home, "karp.yaml");
    this.socket = join(home, "karp.sock");
    this.client = new ControlClient(this.socket);
    this.configure({});
  }

  file(name: string, content: string, mode = 0o600): string {
    const path = join(this.home, name);
    writeFileSync(path, content, { mode });
    chmodSync(path, mode);
    return path;
  }

  /** Writes the configuration: the usual one with these words in it, `undefined` takes a word out. */
  configure({ top = {}, session = {} }: { readonly top?: Words; readonly session?: Words }): void {
    this.#words = { top: { ...this.#words.top, ...top }, session: { ...this.#words.session, ...session } };
    const words = {
      router: this.identity,
      credentials: { certificate: "certificate.pem", "private-key": "private.key", trust: "ca.pem" },
      listen: [`${this.self.address}:${this.self.ike}`],
      store: "store/keys.db",
      control: this.socket,
      rollover: ROLLOVER,
      sessions: { [this.session]: this.sessionWords },
      ...this.#words.top,
    };
    this.file("karp.yaml", stringify(withoutUndefined(words), { aliasDuplicateObjects: false }), 0o644);
  }

  get sessionWords(): Words {
    const { self, other } = this;
    return {
      protocol: "bgp",
      driver: "endpoint",
      local: self.address,
      remote: other.address,
      peer: this.otherIdentity,
      "peer-port": other.ike,
      mode: "opportunistic",
      endpoint: {
        bind: `${self.address}:${self.segments}`,
        remote: `${other.address}:${other.segments}`,
        interval: "50ms",
      },
      ...this.#words.session,
    };
  }

  start(options: StartOptions = {}): Promise<Daemon> {
    const starting = this.#start(options);
    this.#starting = starting.catch(() => undefined);
    return starting;
  }

  async #start(options: StartOptions): Promise<Daemon> {
    const logger = pino(
      { level: "debug" },
      {
        write: (line: string) => {
          this.log += line;
        },
      },
    );
    const daemon = await startDaemon({
      configurationFile: this.configurationFile,
      version: "0.0.0-test",
      clock: systemClock,
      driverKinds: drivers,
      logger,
      ...options,
    });
    this.events.push(...daemon.events(1000));
    daemon.subscribe((event) => this.events.push(event));
    this.#daemon = daemon;
    return daemon;
  }

  async stop(): Promise<void> {
    await this.#starting;
    const daemon = this.#daemon;
    this.#daemon = undefined;
    await daemon?.stop();
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error("not started");
    return this.#daemon;
  }

  get views(): DaemonViews {
    return this.daemon.views();
  }

  get view(): SessionView {
    return found(
      this.views.sessions.find(({ session }) => session === this.session),
      "the session",
    );
  }

  get rollover(): RolloverView {
    return this.view.rollover;
  }

  get fingerprint(): string | undefined {
    return this.views.keys.find(({ state }) => state === "current")?.fingerprint;
  }

  /** What `karp show WHAT` prints. */
  async show(what: Showable, json = false): Promise<string> {
    return await show(what, { socket: this.socket, json }, Date.now());
  }

  /** The first event of this name, and text, since the start of the test, or the next one. */
  async event(name: EventName, text: RegExp = /./, from = 0): Promise<DaemonEvent> {
    const isIt = (event: DaemonEvent): boolean => event.name === name && text.test(event.text);
    return await until(
      () => this.events.slice(from).find(isIt),
      () => `${this.identity}: no ${name} ${text}; there were:\n${this.story}`,
    );
  }

  /** Until a key, or one other than `former`, is in use. */
  async current(former?: string): Promise<string> {
    const isNew = (): string | undefined => (this.fingerprint === former ? undefined : this.fingerprint);
    return await until(isNew, () => `${this.identity}: no key came into use:\n${this.story}`);
  }

  /** Until the key in use here is one that the peer said to use as well: what it says comes a moment after what is seen. */
  async agreed(): Promise<KeyView> {
    return await until(
      () => this.views.keys.find(({ state, peerState }) => state === "current" && peerState === "in-use"),
      () => `${this.identity}: the peer did not say in-use: ${JSON.stringify(this.views.keys)}\n${this.story}`,
    );
  }

  /** Until `karp show WHAT` prints this; other tries and steps may come and go. */
  async shows(what: Showable, text: RegExp): Promise<string> {
    let shown = "";
    return await until(
      async () => {
        shown = await this.show(what);
        return text.test(shown) && shown;
      },
      () => `${this.identity}: karp show ${what} never matched ${text}; it was:\n${shown}`,
    );
  }

  /** Until the rollover's view says so. */
  async waitsFor(reason: RegExp): Promise<RolloverView> {
    return await until(
      () => (reason.test(this.rollover.waitingFor?.reason ?? "") ? this.rollover : undefined),
      () => `${this.identity}: nobody waits for ${reason}: ${JSON.stringify(this.rollover)}\n${this.story}`,
    );
  }

  /** Everything that happened, for complaints. */
  get story(): string {
    return this.events.map(({ name, text }) => `  ${name}: ${text}`).join("\n");
  }
}

/** Who asks and who is asked is settled by chance: what one of them tells. */
export async function anyEvent(routers: readonly Router[], name: EventName, text: RegExp): Promise<DaemonEvent> {
  const isIt = (event: DaemonEvent): boolean => event.name === name && text.test(event.text);
  return await until(
    () => routers.flatMap(({ events }) => events).find(isIt),
    () => `no ${name} ${text}; there were:\n${routers.map(({ story }) => story).join("\n")}`,
  );
}

/** Which of them waits, and says so. */
export async function anyWaitsFor(routers: readonly Router[], reason: RegExp): Promise<Router> {
  return await until(
    () => routers.find(({ rollover }) => reason.test(rollover.waitingFor?.reason ?? "")),
    () => `nobody waits for ${reason}; there was:\n${routers.map(({ story }) => story).join("\n")}`,
  );
}

function withoutUndefined(words: Words): Words {
  return JSON.parse(JSON.stringify(words)) as Words;
}

/** Asks again and again until there is a value; the time given is for a loaded machine. */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  complaint: () => string,
  limitMilliseconds = 45_000,
): Promise<T> {
  const end = performance.now() + limitMilliseconds;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(complaint());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is not there`);
  return value;
}

/** The user nobody. */
export const NOBODY = 65_534;

/** Why no test can run this checkout's programs as NOBODY; false: it can. */
export const cannotBeNobody = whyNotNobody();

function whyNotNobody(): string | false {
  if (process.getuid?.() !== 0) return "only root can become somebody else";
  for (let folder = dirname(process.execPath); folder !== "/"; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return `other users cannot enter ${folder}`;
  }
  return false;
}

/** All of a router's files to the user nobody. */
export function giveAway(router: Router): void {
  chmodSync(`${router.home}/..`, 0o755);
  chownSync(router.home, NOBODY, NOBODY);
  for (const name of readdirSync(router.home)) chownSync(`${router.home}/${name}`, NOBODY, NOBODY);
}

/** UDP ports that are free at this moment. */
export async function freePorts(address: string, count: number): Promise<readonly number[]> {
  const sockets = Array.from({ length: count }, () => createSocket("udp4"));
  const ports = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<number>((resolve, reject) => {
          socket.once("error", reject);
          socket.bind(0, address, () => resolve(socket.address().port));
        }),
    ),
  );
  for (const socket of sockets) socket.close();
  return ports;
}

export { karp };

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the command line, and what it prints. */
export class Karp {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(
    t: TestContext | undefined,
    args: readonly string[],
    options: { readonly uid?: number; readonly node?: string; readonly env?: NodeJS.ProcessEnv } = {},
  ) {
    const { uid, node = process.execPath, env = process.env } = options;
    this.child = spawn(node, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
    t?.after(async () => {
      if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
      await this.ended;
    });
  }

  /** Runs `karp ARGS…` to its end. */
  static run(args: readonly string[], options: ConstructorParameters<typeof Karp>[2] = {}): Promise<Ended> {
    return new Karp(undefined, [karp, ...args], options).ended;
  }

  /** `karp run` of a router, until its control socket answers. */
  static async daemon(t: TestContext, router: Router, ...more: readonly string[]): Promise<Karp> {
    const process = new Karp(t, [karp, "run", "--config", router.configurationFile, "--log-level", "debug", ...more]);
    await until(
      async () => {
        if (process.child.exitCode !== null) throw new Error(`karp run ended: ${process.stderr}`);
        return await router.client.get("/v1/status").catch(() => undefined);
      },
      () => `the daemon does not answer: ${process.stderr}`,
    );
    return process;
  }
}
